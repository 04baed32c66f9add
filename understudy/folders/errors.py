"""Errors of this room.

FolderError
├── OutputRefusedError     an output holds, is or lies in an input, holds what is not ours, or
│                          lies in a folder of ours
├── OutputBusyError        another process is writing it
├── FolderChangedError     a folder was written anew while it was read
└── OutputUnwritableError  it cannot be written: no space, no leave, no such place
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderError(Exception):
    """Root of every expected error of `folders`."""


class OutputRefusedError(FolderError):
    """An output holds, is or lies in an input, holds what is not ours, or lies in a folder of
    ours."""


class OutputBusyError(FolderError):
    """Another process is writing the output."""


class FolderChangedError(FolderError):
    """A folder was written anew while it was read."""


class OutputUnwritableError(FolderError):
    """The output cannot be written."""


# What the place of an output can be to blame for, not the code that writes there.
PLACE_ERRORS = {
    errno.ENOSPC: "no space is left there",
    errno.EDQUOT: "the quota there is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "writing there is not permitted",
    errno.EPERM: "writing there is not permitted",
    errno.ENOTDIR: "a part of the path is a file, no folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "it is a link that leads to itself",
    errno.EIO: "the disk reports an error",
    errno.EFBIG: "a file would be larger than is allowed there",
}
NO_PLACE = "there is no such place, or it takes no new files"  # as below /proc
FULL_DISK = os.strerror(errno.ENOSPC)
FROM_RUST = re.compile(r"\(os error (\d+)\)")  # how libraries in Rust word an error of the system


@contextmanager
def place_errors(out: Path) -> Iterator[None]:
    """What is wrong with the place that is written to becomes an error of ours.

    Raises:
        OutputUnwritableError: instead of whatever was raised for it.
    """
    try:
        yield
    except Exception as error:
        if (reason := place_problem(error)) is None or is_elsewhere(error, out):
            raise
        raise OutputUnwritableError(f"{out} cannot be written: {reason}") from error


@contextmanager
def cache_errors(place: Path) -> Iterator[None]:
    """The same of what is written to the cache on the way to an output, which is not to blame.

    Raises:
        OutputUnwritableError: instead of whatever was raised for it.
    """
    try:
        with place_errors(place):
            yield
    except OutputUnwritableError as error:
        raise OutputUnwritableError(
            f"{error}; set UNDERSTUDY_CACHE to a folder with room that can be written"
        ) from error


def is_elsewhere(error: BaseException, out: Path) -> bool:
    """Whether an error names files none of which is an output, or what is made for it: whoever
    writes an output also writes to the cache, and reads."""
    from understudy.folders.places import short_name  # which needs these errors

    found = (getattr(error, "filename", None), getattr(error, "filename2", None))
    paths = (os.fsdecode(path) for path in found if isinstance(path, str | bytes | os.PathLike))
    named = [os.path.realpath(path) for path in paths]
    place = Path(os.path.realpath(out))
    own = (str(place), str(place.parent / f".{short_name(place)}"))
    above = {*map(str, place.parents)}
    return bool(named) and not any(path.startswith(own) or path in above for path in named)


def place_problem(error: BaseException) -> str | None:
    """What is wrong with the place that was written to; None for another kind of error.

    Libraries that write through code of their own tell a full disk in words alone.
    """
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return NO_PLACE
    if isinstance(error, OSError) and error.errno is not None:
        return PLACE_ERRORS.get(error.errno)
    if found := FROM_RUST.search(str(error)):
        return PLACE_ERRORS.get(int(found[1]))
    return PLACE_ERRORS[errno.ENOSPC] if FULL_DISK in str(error) else None
