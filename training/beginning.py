"""Weights to begin with: those of a student that was trained before, also for other labels."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.config import DistillChoices
from training.errors import CheckpointError, TrainingError
from understudy.folders.kinds import STUDENT, marked
from understudy.folders.places import url_problem
from understudy.graph.files import check_readable

SHAPE = ("layers", "hidden", "residual", "normalization")
TAKEN = ("student", "encoder", *SHAPE)
DEFAULTS = DistillChoices()


def like_its_start(choices: DistillChoices, given: Collection[str] = ()) -> DistillChoices:
    """The choices, with the network and the text encoder of the student that it begins with.

    Args:
        given: names of choices that were said, and so are meant even where they are the default.

    Raises:
        CheckpointError: that is no student folder, or damaged.
        TrainingError: a choice that was said, or is not the default, is not that student's.
    """
    if choices.start is None:
        return choices
    taken: dict[str, Any] = {}
    for name, has in shape_of(choices.start).items():
        said = getattr(choices, name)
        meant = name in given or said != getattr(DEFAULTS, name)
        if meant and said != has:
            option = "--" + name.replace("_", "-")
            raise TrainingError(
                f"{option} {said}: {choices.start}, whose weights are begun with, has {has}; leave "
                f"{option} out, or --from"
            )
        taken[name] = has
    return replace(choices, **taken)


def no_student(folder: Path) -> CheckpointError:
    """What is wrong with a folder that a student was looked for in."""
    if (folder / STUDENT.marker).is_file():
        try:
            check_readable(folder / STUDENT.marker)
        except OSError as error:
            return CheckpointError(f"{folder / STUDENT.marker}: {error.strerror}")
        return CheckpointError(f"{folder / STUDENT.marker} is damaged, or of something else")
    problem = url_problem(folder) or (
        f"is not a student folder (no {STUDENT.marker}); make one with `understudy distill`"
    )
    return CheckpointError(f"{folder} {problem}")


def shape_of(folder: Path) -> dict[str, Any]:
    """What the weights of a student fit: values by the names of `DistillChoices`.

    Raises:
        CheckpointError: it is no student folder, or damaged.
    """
    value = marked(folder, STUDENT)
    if value is None:
        raise no_student(folder)
    try:
        student = value["student"]
        shape = {name: student[name] for name in SHAPE}
        return {"student": student["kind"], "encoder": value["encoder"]["kind"], **shape}
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / 'config.json'} is damaged: {error!r}") from error
