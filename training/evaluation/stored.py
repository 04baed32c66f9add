"""What a folder of an evaluation holds; read without the libraries that training needs."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from training.config import TrainingConfig
from training.errors import EvaluationError

NOTHING: Mapping[str, object] = MappingProxyType({})
OWN = "training."  # begins the full names of a student's settings
PLAN_FILE = "plan.json"  # the settings that all runs of a folder share


def read_result(
    path: Path, remedy: str = "remove it, and the same command runs it again"
) -> dict[str, Any]:
    """Reads a stored file, such as a run's result.

    Raises:
        EvaluationError: it is damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EvaluationError(f"{path} is damaged: {error}; {remedy}") from error
    if not isinstance(value, dict):
        raise EvaluationError(f"{path} is not a result; {remedy}")
    return value


def read_plan(out: Path) -> dict[str, str] | None:
    """The settings of the runs in `out` by their full names, as JSON; None if there are none.

    Raises:
        EvaluationError: they are damaged.
    """
    path = out / PLAN_FILE
    if not path.is_file():
        return None
    return dict(named_settings(read_result(path, f"choose another folder, or remove {out}")))


def check_begun(
    out: Path,
    content_hash: str,
    split_kind: str,
    hidden: int,
    trials: int,
    training: TrainingConfig,
    teacher: Mapping[str, object] = NOTHING,
) -> None:
    """Refuses a folder whose runs have other settings than these, which are most of them; the rest
    is checked with the whole plan.

    Args:
        teacher: settings of the teacher, by their full names.

    Raises:
        EvaluationError: names the settings that differ.
    """
    kept = read_plan(out)
    if kept is None:
        return
    settings = {
        "graph_hash": content_hash,
        "split_kind": split_kind,
        "hidden": hidden,
        "trials": trials,
        "training": training.settings,
        **teacher,
    }
    wanted = dict(named_settings(settings))
    # A plan has all settings of a student, of which those at their defaults may be left out.
    usual = dict(named_settings({"training": TrainingConfig().settings}))
    before, now = usual | kept, usual | wanted
    own = sorted(name for name in before.keys() | now.keys() if name.startswith(OWN))
    others = [name for name in wanted if name in before and not name.startswith(OWN)]
    differing = [name for name in (*others, *own) if before.get(name) != now.get(name)]
    refuse_other_settings(out, differing)


def refuse_other_settings(out: Path, differing: list[str]) -> None:
    """Refuses a folder of other settings.

    Raises:
        EvaluationError: some differ.
    """
    if "graph_hash" in differing:
        raise EvaluationError(
            f"{out} holds an evaluation of another graph, or of this one before it changed; choose "
            "another folder, or remove it"
        )
    if differing:
        raise EvaluationError(
            f"{out} holds an evaluation with other settings ({', '.join(differing)}); choose "
            "another folder, or remove it"
        )


def named_settings(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yields every setting by its full name, such as teacher.tuning.epochs, as JSON."""
    for name, setting in settings.items():
        if isinstance(setting, dict) and setting:
            yield from named_settings(setting, f"{before}{name}.")
        else:
            yield before + name, json.dumps(setting)
