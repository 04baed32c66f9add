"""The file in a data folder that describes its snapshot and keys, for a log in Redis.

Replicas may share the folder, on one machine or on a file system that supports `flock`. A process
that starts from the folder keeps it unchanged until it has begun to follow.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from understudy.graph.errors import JournalDamagedError, JournalForeignError, LogHeldError
from understudy.graph.log.files import put_file
from understudy.graph.log.followers import open_locked
from understudy.graph.log.keys import KeyedBatch, Keys
from understudy.graph.log.streams.reached import ENDING, Reached

BASE_FILE = "redis-log.json"
FORMAT = 1
ADVICE = (
    "replace it with another replica's, together with the snapshot that it names, or move the data "
    "folder away to start again with the bundle's graph"
)


class Base(msgspec.Struct, frozen=True):
    """The position where a process begins.

    Attributes:
        format: of this file.
        graph: lineage of the log's graph.
        birth: random id of the log, drawn when it was created.
        number, link: of the last record that the snapshot holds.
        snapshot: name of its folder; "" for the bundle.
        keys: the idempotency keys as of `number`, oldest first: key, number, digest.
    """

    graph: str
    birth: str
    link: str
    number: int = 0
    snapshot: str = ""
    keys: tuple[tuple[str, int, bytes], ...] = ()
    format: int = FORMAT

    def known(self) -> Keys:
        keys = Keys()
        for key, number, digest in self.keys:
            keys.add(key, KeyedBatch(number, digest))
        keys.begin()
        return keys


class BaseFolder:
    """The files of one process's data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.path = data / BASE_FILE
        self.reached = Reached(self.beside(ENDING))
        self.starting = open_locked(self.beside("starting"), fcntl.LOCK_SH)

    def beside(self, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{ending}")

    def started(self) -> None:
        """Allows others to remove the snapshot that this process started from."""
        if self.starting >= 0:
            os.close(self.starting)
            self.starting = -1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Ensures that no process starts from this folder during the block.

        Raises:
            LogHeldError: one is starting.
        """
        lock = open_locked(self.beside("starting"), None)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LogHeldError(
                f"another process is starting with the snapshot in {self.data}"
            ) from error
        else:
            yield
        finally:
            os.close(lock)

    def read(self) -> Base | None:
        """The folder's content; None if there is none yet.

        Raises:
            JournalForeignError: another release's format.
            JournalDamagedError: it is not what was written.
        """
        try:
            base = msgspec.json.decode(self.path.read_bytes(), type=Base)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise JournalDamagedError(f"{self.path} is damaged ({error}); {ADVICE}") from error
        if base.format != FORMAT:
            raise JournalForeignError(
                f"{self.path} has format {base.format}, but this release reads only {FORMAT}"
            )
        if "/" in base.snapshot or base.snapshot.startswith(".") or base.number < 0:
            raise JournalDamagedError(f"{self.path} is damaged; {ADVICE}")
        return base

    def write(self, base: Base) -> None:
        """Replaces the file; it is on disk on return."""
        put_file(self.path, msgspec.json.encode(base))
