"""The check of an output before any work is done for it."""

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

TRIAL_BYTES = 65_536  # written to see whether writing works


def check_output(out: Path, kind: Kind, inputs: Iterable[Path] = (), force: bool = False) -> None:
    """Refuses an output before any work, for every reason that can be known by then.

    Args:
        kind: of what will be written.
        inputs: files and folders that are read for it.
        force: replace a folder of ours of another kind, too.

    Raises:
        OutputRefusedError: it holds, is or lies in an input, holds what is not ours, or lies in a
            folder of ours that is replaced as a whole.
        OutputBusyError: another process is writing it.
        OutputUnwritableError: it cannot be written.
    """
    place = real_place(out)
    refuse_inputs(out, place, inputs)
    refuse_within(out, place)
    with place_errors(out):
        with suppress(FileNotFoundError):
            place.lstat()  # of a name too long, or below a file, nothing else would tell by now
        tidy(place)
        refuse_foreign(out, place, kind)
        if not force:
            refuse_other_kind(out, place, kind)
        place.parent.mkdir(parents=True, exist_ok=True)
        try_to_write(place)


def check_space(out: Path, needed: int) -> None:
    """Refuses an output that could not be written for want of space, where so much is known.

    Args:
        needed: bytes that it will take, at least.

    Raises:
        OutputUnwritableError: there are fewer, beside what is there and stays until the end.
    """
    place = real_place(out)
    free = shutil.disk_usage(place if place.is_dir() else place.parent).free
    if free < needed:
        raise OutputUnwritableError(
            f"{out} needs about {megabytes(needed)}, and {megabytes(free)} are free there"
        )


def megabytes(number: int) -> str:
    """Bytes in words."""
    return f"{number / 1e6:,.{0 if number >= 1e7 else 2}f} MB"


def try_to_write(place: Path) -> None:
    """Makes what will be made there, small, and removes it.

    Raises:
        OSError: that is not possible.
    """
    with workplace(place) as work:
        trial = work / NEW / "trial"
        trial.write_bytes(bytes(TRIAL_BYTES))
        flush(trial)
