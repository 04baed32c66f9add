"""Replaces a folder: the old one stays until the new one is complete and on disk."""

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

# A mount point, another file system, or a parent in which renaming is not permitted.
CANNOT_RENAME = (errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS)


READ_AND_WRITE = 0o666  # the part of the folder's mode that new files take
RESERVED: set[Path] = set()  # workplaces that only reserve an output for this process


@contextmanager
def atomic_folder(out: Path) -> Iterator[Path]:
    """Yields an empty folder; it replaces `out` when the block succeeds.

    A symbolic link stays, and its target is replaced. If `out` cannot be renamed, being a mount
    point or in a folder without write permission, its content is replaced.

    Raises:
        OutputRefusedError: `out` holds foreign files, now or when it is to be replaced.
        OutputBusyError: another process is writing it.
        OutputUnwritableError: it cannot be written; the previous content is unchanged.
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
    """Ensures that a folder is not replaced while the block reads it.

    Raises:
        FolderChangedError: the folder or one of its files was replaced meanwhile; also instead of
            an error that resulted from that.
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
        f"{folder} was rewritten while it was read; run the same command again"
    )


def stamps(folder: Path) -> list[tuple[str, int, int, int]]:
    """Name, inode, size and mtime of each file; empty if there is no folder at the moment."""
    try:
        found = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [(name, own.st_ino, own.st_size, own.st_mtime_ns) for name, own in found]


def let_be_read(folder: Path) -> None:
    """Makes the files of a new folder readable for everyone who may read the folder.

    Some writers make files private to their user, and others could not use the output. Files with
    other hard links keep their mode.
    """
    mode = folder.stat().st_mode & READ_AND_WRITE  # as the umask says
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | mode)


@contextmanager
def workplace(place: Path, inside: bool | None = None) -> Iterator[Workplace]:
    """Makes a workplace, holds its lock, and removes it at the end.

    Args:
        inside: whether in the output; by default only if the output cannot be renamed.

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
    """Reserves an output for this process during hours of work for it.

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
    """Finishes or removes what killed processes left while writing an output.

    Raises:
        OutputBusyError: a living process is writing it.
    """
    for work in workplaces(place):
        if work.folder in RESERVED:
            continue
        with left_over(work):
            finish(work)


def put_in_place(work: Workplace) -> None:
    """Moves a complete workplace into the output's place."""
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
