"""A folder for a log that ends with the service, which its workers share."""

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
    """Makes a private folder, and removes it, and those of services that were killed.

    Its lock is inherited by the workers, so that it is held while any of them lives.

    Raises:
        OSError: there is no place for temporary files.
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
    """Removes what services left that were killed."""
    for lock in temporary.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError):  # another user's, or just removed
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent)
                logger.info("removed %s, which a killed service had left", lock.parent)
            finally:
                os.close(descriptor)
