"""Starting from the weights of an earlier student, also for a graph with other labels."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.config import DistillChoices
from training.errors import CheckpointError, TrainingError
from understudy.folders.kinds import STUDENT, marked
from understudy.folders.places import path_problem
from understudy.graph.files import check_readable

SHAPE = ("layers", "hidden", "residual", "normalization")
TAKEN = ("student", "encoder", *SHAPE)
DEFAULTS = DistillChoices()
REMEDY = "restore the folder, or move it away and run `understudy distill` again"


def like_its_start(choices: DistillChoices, explicit: Collection[str] = ()) -> DistillChoices:
    """Takes the network and the text encoder from the student that training starts from.

    Args:
        explicit: names of choices that the user gave explicitly, even if they equal the default.

    Raises:
        CheckpointError: the start is no student folder, or damaged.
        TrainingError: a choice that was given, or is not the default, differs from that student's.
    """
    if choices.start is None:
        return choices
    taken: dict[str, Any] = {}
    for name, has in shape_of(choices.start).items():
        chosen = getattr(choices, name)
        meant = name in explicit or chosen != getattr(DEFAULTS, name)
        if meant and chosen != has:
            option = "--" + name.replace("_", "-")
            raise TrainingError(
                f"{option} {chosen}: {choices.start}, the student of --from, has {has}; leave "
                f"{option} or --from out"
            )
        taken[name] = has
    return replace(choices, **taken)


def no_student(folder: Path) -> CheckpointError:
    """The error for a folder that should hold a student."""
    if (folder / STUDENT.marker).is_file():
        try:
            check_readable(folder / STUDENT.marker)
        except OSError as error:
            return CheckpointError(f"{folder / STUDENT.marker}: {error.strerror}")
        return CheckpointError(
            f"{folder / STUDENT.marker} is damaged, or is not a student's; {REMEDY}"
        )
    problem = path_problem(folder) or (
        f"{folder} is not a student folder (no {STUDENT.marker}); make one with `understudy "
        "distill`"
    )
    return CheckpointError(problem)


def shape_of(folder: Path) -> dict[str, Any]:
    """The shape that a student's weights fit: values by the field names of `DistillChoices`.

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
        raise CheckpointError(
            f"{folder / STUDENT.marker} is damaged: {error!r}; {REMEDY}"
        ) from error
