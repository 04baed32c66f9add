"""Errors of the folders package.

FolderError
├── OutputRefusedError      an output overlaps an input, holds foreign files, or lies in a folder
│                           that understudy replaces as a whole
├── OutputBusyError         another process is writing the output
├── FolderChangedError      a folder was replaced while it was read
└── OutputUnwritableError   the output cannot be written: no space, no permission, no such place
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


class FolderError(Exception):
    """Base class of all expected errors of `folders`."""


class OutputRefusedError(FolderError):
    """An output overlaps an input, holds foreign files, or lies in a folder that understudy
    replaces as a whole.
    """


class OutputBusyError(FolderError):
    """Another process is writing the output."""


class FolderChangedError(FolderError):
    """A folder was replaced while it was read."""


class OutputUnwritableError(FolderError):
    """The output cannot be written."""


# Errors that are caused by an output's place, not by the code that writes there.
PLACE_ERRORS = {
    errno.ENOSPC: "no space is left there",
    errno.EDQUOT: "the disk quota there is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file is in the way",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "it is a symbolic link to itself",
    errno.EIO: "the disk reports an error",
    errno.EFBIG: "a file would be larger than allowed there",
}
NO_PLACE = "the place does not exist, or does not accept new files"  # such as below /proc
FULL_DISK = os.strerror(errno.ENOSPC)
FROM_RUST = re.compile(r"\(os error (\d+)\)")  # libraries in Rust report system errors this way


@contextmanager
def place_errors(out: Path) -> Iterator[None]:
    """Converts errors caused by the place that is written to.

    Raises:
        OutputUnwritableError: replaces such an error.
    """
    try:
        yield
    except Exception as error:
        if (reason := place_problem(error)) is None or is_elsewhere(error, out):
            raise
        raise OutputUnwritableError(f"{out} cannot be written: {reason}") from error


@contextmanager
def place_errors_of(place: Path, variable: str) -> Iterator[None]:
    """Converts errors of writing to a place that an environment variable names, and not an option.

    Raises:
        OutputUnwritableError: replaces such an error.
    """
    try:
        with place_errors(place):
            yield
    except OutputUnwritableError as error:
        raise OutputUnwritableError(
            f"{error}; set {variable} to a writable folder with enough space"
        ) from error


def cache_errors(place: Path) -> AbstractContextManager[None]:
    """Converts errors of writing to the cache, see `place_errors_of`."""
    return place_errors_of(place, "UNDERSTUDY_CACHE")


def is_elsewhere(error: BaseException, out: Path) -> bool:
    """Whether an error names only files outside the output; code that writes an output also reads
    files and writes to the cache.
    """
    from understudy.folders.places import short_name  # which needs these errors

    found = (getattr(error, "filename", None), getattr(error, "filename2", None))
    paths = (os.fsdecode(path) for path in found if isinstance(path, str | bytes | os.PathLike))
    named = [os.path.realpath(path) for path in paths]
    place = Path(os.path.realpath(out))
    own = (str(place), str(place.parent / f".{short_name(place)}"))
    above = {*map(str, place.parents)}
    return bool(named) and not any(path.startswith(own) or path in above for path in named)


def place_problem(error: BaseException) -> str | None:
    """The problem of the place that was written to; None for another kind of error.

    Some libraries with their own I/O report a full disk only in their message.
    """
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return NO_PLACE
    if isinstance(error, OSError) and error.errno is not None:
        return PLACE_ERRORS.get(error.errno)
    if found := FROM_RUST.search(str(error)):
        return PLACE_ERRORS.get(int(found[1]))
    return PLACE_ERRORS[errno.ENOSPC] if FULL_DISK in str(error) else None
