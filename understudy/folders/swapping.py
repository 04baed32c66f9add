"""Moves a finished folder into place, so that an interrupted move can be completed."""

import errno
import os
import shutil
from pathlib import Path

from understudy.folders.durable import flush
from understudy.folders.workplace import OLD, PLACING, WHOLE, Workplace, passing

ATTEMPTS = 5  # at a place that other processes also fill
OVERTAKEN = (errno.ENOTEMPTY, errno.EEXIST)


def swap_folders(work: Workplace) -> None:
    """Renames the old folder aside and the new one into its place, keeping the old one's mode."""
    for number in range(ATTEMPTS):
        old = work / (f"{OLD}-{number}" if number else OLD)
        replaces = os.path.lexists(work.place)
        if replaces:
            (work / WHOLE).chmod(work.place.stat().st_mode & 0o7777)
            work.place.rename(old)
        try:
            (work / WHOLE).rename(work.place)
            break
        except OSError as error:
            # Another process was faster; both outputs are complete, and ours is the later one.
            if error.errno in OVERTAKEN and number + 1 < ATTEMPTS:
                continue
            if replaces and not os.path.lexists(work.place):
                old.rename(work.place)
            raise
    flush(work.place.parent)


def swap_content(work: Workplace) -> None:
    """Moves the output's entries aside and the new ones into place; resumes after a killed process.

    Meanwhile the output is incomplete, because the content of a folder cannot be exchanged
    atomically. Old and new entries stay on its disk until everything is in place.
    """
    (work / OLD).mkdir(exist_ok=True)
    if (work / WHOLE).is_dir():
        stays = passing(work.place)
        for path in list(work.place.iterdir()):
            if path.name not in stays:
                path.rename(work / OLD / path.name)
        flush(work / OLD)
        (work / WHOLE).rename(work / PLACING)
        flush(work.folder)
    for path in list((work / PLACING).iterdir()):
        path.rename(work.place / path.name)
    flush(work.place)


def finish(work: Workplace) -> None:
    """Finishes a swap that was begun, and removes the workplace.

    Raises:
        OSError: the swap cannot be finished; nothing was removed.
    """
    if (work / OLD).is_dir():
        if work.inside:
            if (work / WHOLE).is_dir() or holds_any(work / PLACING):
                swap_content(work)
        elif (work / WHOLE).is_dir() and not os.path.lexists(work.place):
            (work / WHOLE).rename(work.place)
    shutil.rmtree(work.folder, ignore_errors=True)  # the next process removes what stays


def holds_any(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
