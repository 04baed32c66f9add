"""A folder in which an output is made, locked while its process lives.

It is beside the output, or inside if the output cannot be renamed, and is named after it. It holds
`lock` and, in turn: `new`, which is being written; `whole`, which is complete and on disk;
`placing`, the same while its entries move into the output; and `old`, the previous content. A
workplace whose lock is free was left by a killed process: it is finished if it was whole, otherwise
removed.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from understudy.folders.errors import OutputBusyError
from understudy.folders.places import (
    LOST_AND_FOUND,
    fillable_only,
    is_mounted,
    real_place,
    short_name,
)

LOCK, NEW, WHOLE, PLACING, OLD = "lock", "new", "whole", "placing", "old"
MARK = ".writing-"
DIGITS = 12  # of a digest, in the name of resumable work


@dataclass(frozen=True, slots=True)
class Workplace:
    """The workplace of an output; see the module for the content of `folder`."""

    folder: Path
    place: Path  # the output's path

    @property
    def inside(self) -> bool:
        return self.folder.parent == self.place

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


def make_workplace(place: Path, inside: bool) -> tuple[Workplace, int]:
    """Makes a workplace with an empty `new`; also returns the descriptor that holds its lock.

    Raises:
        OSError: it cannot be made.
    """
    parent = place if inside else place.parent
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{short_name(place)}{MARK}", dir=parent))
        lock = -1
        try:
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
            if is_held(folder, lock):
                os.write(lock, str(os.getpid()).encode())
                (folder / NEW).mkdir()
                return Workplace(folder, place), lock
        except BaseException:  # otherwise its lock would block the place permanently
            shutil.rmtree(folder, ignore_errors=True)
            if lock >= 0:
                os.close(lock)
            raise
        os.close(lock)  # another process mistook it for a killed process's before it was locked


def is_held(folder: Path, lock: int) -> bool:
    """Takes the lock; returns whether it is still the folder's.

    On a file system without locks everyone gets it, so nothing counts as left over.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(lock), (folder / LOCK).stat())
    return False


def workplaces(place: Path) -> list[Workplace]:
    """All workplaces of an output, of living processes and of killed ones."""
    name = re.compile(re.escape(f".{short_name(place)}{MARK}") + r"[a-z0-9_]{8}")
    found = []
    for parent in (place.parent, place):
        with suppress(
            OSError
        ):  # no such folder, or not ours to read: then nothing of ours is in it
            found += [
                Workplace(path, place)
                for path in parent.iterdir()
                if name.fullmatch(path.name) and (path / LOCK).is_file()
            ]
    return found


@contextmanager
def left_over(work: Workplace) -> Iterator[None]:
    """Holds the lock of a killed process's workplace.

    Raises:
        OutputBusyError: its process lives.
    """
    lock = os.open(work / LOCK, os.O_RDWR)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # held, or the file system has no locks
            process = os.read(lock, 20).decode() or "?"
            raise OutputBusyError(
                f"{work.place} is being written by another process ({process}); wait for it, or "
                f"choose another folder; if the process no longer exists, remove {work.folder}"
            ) from error
        yield
    finally:
        os.close(lock)


def unfinished_folder(out: Path, digest: str) -> Path:
    """The folder for resumable work: beside the output, or in it if it cannot be renamed."""
    place = real_place(out)
    parent = place if fillable_only(place) else place.parent
    return parent / f".{short_name(place)}.{digest[:DIGITS]}"


def passing(place: Path) -> frozenset[str]:
    """Names in an output that are neither its content nor the user's: unfinished work, and a file
    system's own folder.
    """
    work = re.compile(re.escape(f".{short_name(place)}.") + rf"[0-9a-f]{{{DIGITS}}}")
    names = {work.folder.name for work in workplaces(place) if work.inside}
    names |= {path.name for path in place.iterdir() if work.fullmatch(path.name) and path.is_dir()}
    return frozenset(names | ({LOST_AND_FOUND} if is_mounted(place) else set()))
