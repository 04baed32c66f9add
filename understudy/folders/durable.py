"""Waits until written files are on disk."""

import errno
import os
from pathlib import Path


def synchronize(folder: Path) -> None:
    """Waits until all files and names below a folder are on disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            flush(Path(place, name))
        flush(Path(place))


def flush(path: Path) -> None:
    """Waits for one file's content, or one folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not supported by this file system
            raise
    finally:
        os.close(descriptor)
