"""Names of settings: as flags, in the environment and in a file; and what settings require."""

import os
import tomllib
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError, ValidationInfo

from service.errors import SettingsError
from understudy.folders.places import path_problem

ENVIRONMENT_PREFIX = "UNDERSTUDY_"
SECRET = ("_key", "_url", "log", "snapshots")  # suffixes of names whose values may hold a password


def check_extra(setting: str, extra: str, modules: Sequence[str]) -> None:
    """Checks that the extra that a setting needs is installed.

    Raises:
        SettingsError: a module of the extra is not installed.
    """
    for module in modules:
        if not installed(module):
            raise SettingsError(
                f"{flag_name(setting)} needs {module}, which is not installed: "
                f"pip install 'understudy-gnn[{extra}]'",
                setting=setting,
            )


def check_log(log: str, data_folder: Path | None, snapshots: str) -> None:
    """Checks that the settings of the log and its snapshots are complete.

    Raises:
        SettingsError: a setting that one of them needs is missing.
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
    except ModuleNotFoundError:  # its parent package is not installed
        return False


def wrong_setting(error: ValidationError) -> SettingsError:
    """Makes the error of the first wrong value, without the value if it may be secret."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    problem = in_our_words(first["msg"])
    shown = "" if name.endswith(SECRET) else f" is {first['input']!r}"
    return SettingsError(
        f"{flag_name(name)} or {ENVIRONMENT_PREFIX}{name.upper()}{shown}: {problem}",
        setting=name,
    )


def in_our_words(problem: str) -> str:
    """Turns pydantic's message about an input into one about what is expected."""
    problem = problem.removeprefix("Value error, ").replace("String should have", "expected", 1)
    problem = problem.replace("Input should be less", "expected a value less", 1)
    problem = problem.replace("Input should be greater", "expected a value greater", 1)
    return problem.replace("Input should be", "expected", 1)


def file_values(flags: dict[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Reads the settings in the file, except those that the environment sets.

    Args:
        known: names of settings.

    Raises:
        SettingsError: the file cannot be read, is not TOML, or has an unknown setting.
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
    known = set(known) - {"settings_file"}  # a file cannot name another one
    for name in values.keys() - known:
        raise SettingsError(
            f"--settings-file {named}: {unknown(name, values[name], known)}",
            setting="settings_file",
        )
    return {k: v for k, v in values.items() if ENVIRONMENT_PREFIX + k.upper() not in os.environ}


def unknown(name: str, value: Any, known: Collection[str]) -> str:
    """Explains what is wrong with an entry of the file, without its value, which may be secret."""
    if isinstance(value, dict):
        return f"settings must be at the top level, not in a table such as [{name}]"
    near = get_close_matches(name.replace("-", "_").lower(), known, 1)
    return f"unknown setting {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def flag_name(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def refuse_misread(cls: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Refuses values that would be silently misread; returns all others.

    Raises:
        ValueError: an empty path, as from an unset variable, which Python reads as the current
            folder; a URL for a path, of which it makes a folder below that one; or true or false
            for a number, which it reads as 1 and 0.
    """
    assert info.field_name is not None
    annotation = cls.model_fields[info.field_name].annotation
    kinds = {annotation, *get_args(annotation)}
    if value == "" and Path in kinds:
        raise ValueError("it is empty; give a path, or leave the setting out")
    if Path in kinds and isinstance(value, str | Path) and path_problem(Path(value)):
        raise ValueError("it is a URL, or begins with ~; give a whole path on a disk")
    if isinstance(value, bool) and kinds & {int, float}:
        raise ValueError("expected a number")
    return value
