"""Checks an output before any work is done for it."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from understudy.folders.atomic import tidy, workplace
from understudy.folders.durable import flush
from understudy.folders.errors import OutputUnwritableError, place_errors
from understudy.folders.inspection import (
    refuse_foreign,
    refuse_inputs,
    refuse_other_kind,
    refuse_within,
)
from understudy.folders.kinds import Kind
from understudy.folders.places import real_place
from understudy.folders.workplace import NEW

TRIAL_BYTES = 65_536  # size of a test file


def check_output(out: Path, kind: Kind, inputs: Iterable[Path] = (), force: bool = False) -> None:
    """Refuses an output before any work, for every reason that is known by then.

    Args:
        kind: of what will be written.
        inputs: files and folders that are read for it.
        force: replace an understudy folder of another kind, too.

    Raises:
        OutputRefusedError: it overlaps an input, holds foreign files, or lies in an understudy
            folder that is replaced as a whole.
        OutputBusyError: another process is writing it.
        OutputUnwritableError: it cannot be written.
    """
    place = real_place(out)
    refuse_inputs(out, place, inputs)
    refuse_within(out, place)
    with place_errors(out):
        with suppress(FileNotFoundError):
            place.lstat()  # notices a name that is too long, or a path below a file
        tidy(place)
        refuse_foreign(out, place, kind)
        if not force:
            refuse_other_kind(out, place, kind)
        place.parent.mkdir(parents=True, exist_ok=True)
        try_to_write(place)


def check_space(out: Path, needed: int) -> None:
    """Refuses an output for lack of space, if the needed size is known.

    Args:
        needed: bytes that it will take, at least.

    Raises:
        OutputUnwritableError: less is free, in addition to the present content, which stays until
            the end.
    """
    place = real_place(out)
    there = next(path for path in (place, *place.parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OutputUnwritableError(
            f"{out} needs about {megabytes(needed)}, but only {megabytes(free)} are free there"
        )


def megabytes(number: int) -> str:
    """Formats bytes as megabytes."""
    return f"{number / 1e6:,.{0 if number >= 1e7 else 2}f} MB"


def try_to_write(place: Path) -> None:
    """Creates a small trial of what will be written, and removes it.

    Raises:
        OSError: that is not possible.
    """
    with workplace(place) as work:
        trial = work / NEW / "trial"
        trial.write_bytes(bytes(TRIAL_BYTES))
        flush(trial)
