"""A lock between processes, so that something that several of them need is made only once."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.folders.errors import place_errors

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@contextmanager
def taking_turns(place: Path) -> Iterator[None]:
    """Waits while another process holds the same place, such as a folder of the cache.

    The lock is an empty file beside it, which stays. On a file system without locks, nothing waits.

    Raises:
        OutputUnwritableError: the lock file cannot be made.
    """
    with place_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(place.with_name(f".{place.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                os.close(lock)
                raise
    try:
        yield
    finally:
        os.close(lock)
