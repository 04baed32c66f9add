"""A temporary folder for a log that the workers of one service share."""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

logger = logging.getLogger(__name__)
PREFIX = "understudy-workers-"
LOCK = "lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Makes a private folder, and removes it at the end; also removes those of killed services.

    The workers inherit its lock, so it is held while any of them lives.

    Raises:
        OSError: temporary files cannot be written.
    """
    sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def sweep(temporary: Path) -> None:
    """Removes the folders of killed services."""
    for lock in temporary.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError):  # another user's, or just removed
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent)
                logger.info("removed %s, left by a killed service", lock.parent)
            finally:
                os.close(descriptor)
