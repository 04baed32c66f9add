"""The processes that follow one log file: who takes turns, who is how far, and who has news.

Beside the file lie, by the names that `Followers` gives them:

- a lock that whoever writes holds, so that writers queue in the kernel instead of asking again;
- for every process that has the log open, a file with the number up to which it has applied the
  log. Its lock tells that the process lives, and the kernel lets go of it whatever the end is;
- for each of them a named pipe, through which the others wake it up. So nobody asks in a loop,
  it works on every file system that holds the log, and between containers that share a folder.
"""

import fcntl
import os
import select
import struct
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

POSITION = struct.Struct("<q")


class Followers:
    """One process among those that follow a log."""

    def __init__(self, path: Path) -> None:
        """Makes the lock.

        Args:
            path: of the log's file.

        Raises:
            OSError: its folder cannot be written.
        """
        self.path = path
        self.folder = str(path.parent)
        self.lock = self.position = self.news = -1  # descriptors, while they are open
        self.name = uuid4().hex
        self.process = os.getpid()  # a copy of this object in a fork is nobody
        self.lock = open_locked(self.beside("lock"), None)

    def beside(self, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{ending}")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits until nobody else writes, opens or shortens the log, and then keeps them waiting.

        SQLite's own lock would do for safety; this one queues, and with it no two processes write
        or checkpoint at the same instant.
        """
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_UN)

    def join(self) -> bool:
        """Is one of them from here on, needing every record; to be called in a `turn`.

        Returns:
            Whether it is the only one.
        """
        alone = not list(self.others())
        self.position = open_locked(self.beside(f"at-{self.name}"), fcntl.LOCK_EX)
        self.at(0)
        pipe = self.beside(f"news-{self.name}")
        os.mkfifo(pipe, 0o600)
        # Open for writing, too: a pipe without a writer would be at its end all the time.
        self.news = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        return alone

    def others(self) -> Iterator[int]:
        """How far every other one that lives is; in a `turn`. What the dead left is removed."""
        for file in sorted(self.path.parent.glob(f"{self.path.name}.at-*")):
            name = file.name.rpartition("-")[2]
            if name == self.name:
                continue
            try:
                descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # it has just left
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield POSITION.unpack(os.pread(descriptor, POSITION.size, 0))[0]
            else:
                self.beside(f"news-{name}").unlink(missing_ok=True)
                file.unlink(missing_ok=True)
            finally:
                os.close(descriptor)

    def at(self, number: int) -> None:
        """Has applied the records up to a number."""
        os.pwrite(self.position, POSITION.pack(number), 0)

    def notify(self) -> None:
        """Wakes all others, as well as it can: they look now and then by themselves, too."""
        pipes, mine = f"{self.path.name}.news-", f"{self.path.name}.news-{self.name}"
        names: list[str] = []
        # In every commit: pathlib would be slow. What is kept is kept, whether it can be told.
        with suppress(OSError), os.scandir(self.folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(pipes)]
        for name in names:
            if name != mine:
                self.nudge(f"{self.folder}/{name}")

    def nudge(self, pipe: str) -> None:
        # A pipe without a reader is a dead process's; a full one has woken its reader already.
        with suppress(OSError):
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(descriptor, b"!")
            finally:
                os.close(descriptor)

    def wait(self, seconds: float) -> bool:
        """Returns at news, or after some time; False once it has left."""
        poll = select.poll()
        poll.register(self.news, select.POLLIN)
        if self.lock >= 0 and poll.poll(seconds * 1_000):
            with suppress(BlockingIOError):
                os.read(self.news, 65_536)
        return self.lock >= 0

    def wake(self) -> None:
        """Ends this process's own `wait`."""
        with suppress(BlockingIOError):
            os.write(self.news, b"!")

    def keeping(self) -> AbstractContextManager[bool]:
        """Whether nobody else holds the lock of the snapshots; if so, it is held."""
        return holding(self.beside("snapshots-lock"))

    def leave(self) -> None:
        """Is none of them any more; a `wait` of another thread ends."""
        if self.lock < 0:
            return
        for ending in ("news", "at"):
            self.beside(f"{ending}-{self.name}").unlink(missing_ok=True)
        for descriptor in (self.lock, self.position):
            if descriptor >= 0:
                os.close(descriptor)
        self.lock = self.position = -1
        if self.news >= 0:
            self.wake()

    def __del__(self) -> None:
        if os.getpid() != self.process or sys.is_finalizing():
            return
        self.leave()  # else the others would wait for somebody who is gone
        if self.news >= 0:  # not before: another thread may have waited for it
            os.close(self.news)


def open_locked(path: Path, kind: int | None) -> int:
    """Opens or makes a file that is there to be locked, and locks it in some way."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    if kind is not None:
        fcntl.flock(descriptor, kind)
    return descriptor


@contextmanager
def holding(path: Path) -> Iterator[bool]:
    """Whether nobody else holds a lock; if so, it is held while the block runs."""
    lock = open_locked(path, None)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        yield False
        return
    try:
        yield True
    finally:
        os.close(lock)
