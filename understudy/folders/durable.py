"""Waiting until what was written is on the disk."""

import errno
import os
from pathlib import Path


def synchronize(folder: Path) -> None:
    """Waits until all files and names below a folder are on the disk."""
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
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # no such thing on this file system
            raise
    finally:
        os.close(descriptor)
