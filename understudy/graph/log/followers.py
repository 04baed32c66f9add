"""The processes that follow one log file: their turns, their positions, and their notifications.

Beside the file are, named by `Followers`:

- a lock for writers, so that they queue in the kernel instead of polling;
- for every process that has the log open, a file with the number up to which it has applied the
  log. The process holds a lock on it while it lives, which the kernel releases however it ends;
- for each of them a named pipe, through which the others wake it up. So no process polls, and this
  works on every file system that can hold the log, and between containers that share a folder.
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
        """Creates the lock.

        Args:
            path: of the log's file.

        Raises:
            OSError: its folder cannot be written.
        """
        self.path = path
        self.folder = str(path.parent)
        self.lock = self.position = self.news = -1  # descriptors; -1 if closed
        self.name = uuid4().hex
        self.process = os.getpid()  # in a fork, a copy of this object is inactive
        self.lock = open_locked(self.beside("lock"), None)

    def beside(self, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{ending}")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for exclusive access to write, open or truncate the log during the block.

        SQLite's own lock would be safe, too. This one also queues, and ensures that no two
        processes write or checkpoint at the same time.
        """
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_UN)

    def join(self) -> bool:
        """Joins the followers, needing every record; must be called in a `turn`.

        Returns:
            Whether this is the only follower.
        """
        alone = not list(self.others())
        self.position = open_locked(self.beside(f"at-{self.name}"), fcntl.LOCK_EX)
        self.at(0)
        pipe = self.beside(f"news-{self.name}")
        os.mkfifo(pipe, 0o600)
        # Also open for writing, because a pipe without a writer is always at its end.
        self.news = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        return alone

    def others(self) -> Iterator[int]:
        """The positions of all other living followers; in a `turn`. Removes files of dead ones."""
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
        """Reports that the records up to a number are applied."""
        os.pwrite(self.position, POSITION.pack(number), 0)

    def notify(self) -> None:
        """Wakes all others on a best-effort basis, since they also check periodically."""
        pipes, mine = f"{self.path.name}.news-", f"{self.path.name}.news-{self.name}"
        names: list[str] = []
        # Runs on every commit, so it avoids slow pathlib. A failure to notify does not undo the
        # commit.
        with suppress(OSError), os.scandir(self.folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(pipes)]
        for name in names:
            if name != mine:
                self.nudge(f"{self.folder}/{name}")

    def nudge(self, pipe: str) -> None:
        # A pipe without a reader belongs to a dead process; a full one has woken its reader
        # already.
        with suppress(OSError):
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(descriptor, b"!")
            finally:
                os.close(descriptor)

    def wait(self, seconds: float) -> bool:
        """Waits for news or a timeout; False once it has left."""
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
        """A block that yields whether this process got the lock of the snapshots."""
        return holding(self.beside("snapshots-lock"))

    def leave(self) -> None:
        """Leaves the followers; a `wait` of another thread ends."""
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
        self.leave()  # otherwise the others would wait for this process
        if self.news >= 0:  # only now, since another thread may have been waiting on it
            os.close(self.news)


def open_locked(path: Path, kind: int | None) -> int:
    """Opens or creates a lock file, and locks it if a kind is given."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    if kind is not None:
        fcntl.flock(descriptor, kind)
    return descriptor


@contextmanager
def holding(path: Path) -> Iterator[bool]:
    """Tries to take a lock for the block; yields whether it was free."""
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
