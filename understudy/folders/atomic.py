"""Replacing a folder: the old one stays until the new one is whole and on the disk."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.folders.durable import flush, synchronize
from understudy.folders.errors import FolderChangedError, place_errors
from understudy.folders.inspection import refuse_foreign
from understudy.folders.places import fillable_only, real_place
from understudy.folders.swapping import finish, swap_content, swap_folders
from understudy.folders.workplace import (
    NEW,
    WHOLE,
    Workplace,
    left_over,
    make_workplace,
    workplaces,
)

# An unknown mount point, another file system, or a parent in which nothing may be renamed.
CANNOT_RENAME = (errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS)


READ_AND_WRITE = 0o666  # what a new file takes of its folder's mode
RESERVED: set[Path] = set()  # workplaces that only keep others away from what is written here


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """Yields an empty folder; it replaces `out` when the block succeeds.

    A link stays a link, and what it leads to is replaced. Where `out` cannot be renamed, being a
    mount point or in a folder that is not ours, its content is replaced.

    Raises:
        OutputRefusedError: `out` holds what is not ours, now or when it is to be replaced.
        OutputBusyError: another process is writing it.
        OutputUnwritableError: it cannot be written; what was there is as it was.
    """
    place = real_place(out)
    with place_errors(out):
        refuse_foreign(out, place)
        place.parent.mkdir(parents=True, exist_ok=True)
        tidy(place)
        with workplace(place) as work:
            yield work / NEW
            let_be_read(work / NEW)
            synchronize(work / NEW)
            refuse_foreign(out, place)
            (work / NEW).rename(work / WHOLE)
            flush(work.folder)
            put_in_place(work)


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """What is read of a folder within the block is of one writing, and not half of the next one.

    Raises:
        FolderChangedError: another one took its place meanwhile, or a file of it; also in the place
            of an error that comes of that.
    """
    before = stamps(folder)
    try:
        yield
    except Exception as error:
        if stamps(folder) == before:
            raise
        raise written_anew(folder) from error
    if stamps(folder) != before:
        raise written_anew(folder)


def written_anew(folder: Path) -> FolderChangedError:
    return FolderChangedError(
        f"{folder} was written anew while it was read; run the same command again"
    )


def stamps(folder: Path) -> list[tuple[str, int, int, int]]:
    """Of each file its name, and what is another where it is written anew; none of no folder, nor
    of one that is replaced at this moment."""
    try:
        found = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [(name, own.st_ino, own.st_size, own.st_mtime_ns) for name, own in found]


def let_be_read(folder: Path) -> None:
    """Makes the files of a new folder readable to all who may read the folder.

    Some writers make them their user's alone, and others could not use the output. A file that has
    another name elsewhere stays as it is there.
    """
    mode = folder.stat().st_mode & READ_AND_WRITE  # as the umask says
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | mode)


@contextmanager
def workplace(place: Path, inside: bool | None = None) -> Iterator[Workplace]:
    """Makes a workplace, holds its lock, and removes it in the end.

    Args:
        inside: whether in the output; by default only where that cannot be renamed.

    Raises:
        OSError: it cannot be made.
    """
    work, lock = make_workplace(place, fillable_only(place) if inside is None else inside)
    try:
        yield work
    finally:
        try:
            finish(work)
        finally:
            os.close(lock)


@contextmanager
def reserved(out: Path) -> Iterator[None]:
    """Keeps others from writing an output while hours of work are done for it.

    Raises:
        OutputBusyError: another process is writing it.
        OutputUnwritableError: it cannot be written.
    """
    place = real_place(out)
    with place_errors(out):
        place.parent.mkdir(parents=True, exist_ok=True)
        tidy(place)
        with workplace(place) as work:
            RESERVED.add(work.folder)
            try:
                yield
            finally:
                RESERVED.remove(work.folder)


def tidy(place: Path) -> None:
    """Finishes or removes what killed processes left of writing an output.

    Raises:
        OutputBusyError: a living process is writing it.
    """
    for work in workplaces(place):
        if work.folder in RESERVED:
            continue
        with left_over(work):
            finish(work)


def put_in_place(work: Workplace) -> None:
    """Makes the output of what is whole."""
    if work.inside:
        swap_content(work)
        return
    try:
        swap_folders(work)
    except OSError as error:
        if error.errno not in CANNOT_RENAME or not work.place.is_dir():
            raise
        with workplace(work.place, inside=True) as inner:
            shutil.copytree(work / WHOLE, inner / NEW, dirs_exist_ok=True)
            synchronize(inner / NEW)
            (inner / NEW).rename(inner / WHOLE)
            swap_content(inner)
