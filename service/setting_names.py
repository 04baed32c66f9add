"""Settings by their names: as flags, in the environment and in a file, and what they need."""

import os
import tomllib
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError, ValidationInfo

from service.errors import SettingsError

ENVIRONMENT_PREFIX = "UNDERSTUDY_"
SECRET = ("_key", "_url", "log", "snapshots")  # ends of names whose values may hold a password


def check_extra(setting: str, extra: str, modules: Sequence[str]) -> None:
    """Sees that what a setting needs is there.

    Raises:
        SettingsError: a module of an extra is not installed.
    """
    for module in modules:
        if not installed(module):
            raise SettingsError(
                f"{flag_name(setting)} needs {module}, which is not installed: "
                f"pip install 'understudy-gnn[{extra}]'",
                setting=setting,
            )


def check_log(log: str, data_folder: Path | None, snapshots: str) -> None:
    """Sees that where the log is, and where its snapshots are, go together.

    Raises:
        SettingsError: something lacks that one of them needs.
    """
    if log and data_folder is None:
        raise SettingsError("--log needs --data-folder, for snapshots", setting="data_folder")
    if snapshots and not log:
        raise SettingsError(
            "--snapshots needs --log: a log in a data folder is copied with `understudy backup`",
            setting="snapshots",
        )
    if snapshots:
        check_extra("snapshots", "snapshots", ("fsspec",))


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # what it lies in is not there
        return False


def wrong_setting(error: ValidationError) -> SettingsError:
    """The first wrong value, without the value where it may be secret."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    told = first["msg"].removeprefix("Value error, ")
    shown = "" if name.endswith(SECRET) else f" is {first['input']!r}"
    return SettingsError(
        f"{flag_name(name)} or {ENVIRONMENT_PREFIX}{name.upper()}{shown}: {told}",
        setting=name,
    )


def file_values(flags: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The settings of the file, without those that the environment has.

    Args:
        known: names of settings.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or has what is no setting.
    """
    named = flags.get("settings_file") or os.environ.get(f"{ENVIRONMENT_PREFIX}SETTINGS_FILE")
    if not named:
        return {}
    try:
        values = tomllib.loads(Path(named).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(
            f"--settings-file {named}: {reason}", setting="settings_file"
        ) from error
    known = set(known) - {"settings_file"}  # a file names no other one
    for name in values.keys() - known:
        raise SettingsError(
            f"--settings-file {named}: {unknown(name, values[name], known)}",
            setting="settings_file",
        )
    return {k: v for k, v in values.items() if ENVIRONMENT_PREFIX + k.upper() not in os.environ}


def unknown(name: str, value: Any, known: Collection[str]) -> str:
    """What is wrong with an entry of the file; its value may be secret."""
    if isinstance(value, dict):
        return f"settings stand by themselves, in no table such as [{name}]"
    near = get_close_matches(name.replace("-", "_").lower(), known, 1)
    return f"no setting is called {name!r}" + (f"; is {near[0]!r} meant?" if near else "")


def flag_name(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def check_given(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """A value as it was given, unless it would be taken for one that nobody meant.

    Raises:
        ValueError: an empty path, as of a variable that is not set, which Python would take for
            the current folder; or, for a number, yes or no, which would be 1 and 0.
    """
    assert info.field_name is not None
    annotation = cls.model_fields[info.field_name].annotation
    kinds = {annotation, *get_args(annotation)}
    if value == "" and Path in kinds:
        raise ValueError("it is empty; name a path, or leave the setting out")
    if isinstance(value, bool) and kinds & {int, float}:
        raise ValueError("expected a number")
    return value
