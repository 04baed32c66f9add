"""What a log is: batches of changes in one order, which every process applies alike.

There is no leader. A process that takes a change appends it, applies the log up to it, and answers
with what came of it. Two ways lead into the log:

- `append` takes records that were checked against the graph as of the record before them; it
  refuses where another process appended meanwhile. A process that is alone needs no other.
- `push` takes a record wherever the log ends. Whether it is accepted is decided when it is
  applied, by the graph and the idempotency keys of that position alone: everywhere the same.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from understudy.graph.log.keys import Keys

# Of payloads, that are read at a time: a log may hold far more than fits into the memory.
READ_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """One batch of mutations.

    Attributes:
        number: its position, and the version that it leads to; numbered without a gap.
        key: the caller's idempotency key.
        payload: see `understudy.graph.mutations.encode_mutations`.
        tentative: it was pushed: whether it is accepted is decided when it is applied. Any other
            was found good before it was appended.
    """

    number: int
    key: str | None
    payload: bytes
    tentative: bool = False

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: what a repeated key is compared by."""
        return hashlib.sha256(self.payload).digest()

    def checksum(self, previous: bytes) -> bytes:
        """SHA-256 over this record and the checksum of the one before."""
        key = b"" if self.key is None else b"=" + self.key.encode("utf-8", "surrogatepass")
        if self.tentative:
            key = b"?" + key
        head = previous + self.number.to_bytes(8, "big") + len(key).to_bytes(8, "big")
        return hashlib.sha256(head + key + self.payload).digest()


def pushed(entries: Sequence[Record], last: int) -> list[Record]:
    """The entries as they follow the record `last`, to be decided when they are applied."""
    numbered = enumerate(entries, start=last + 1)
    return [replace(entry, number=number, tentative=True) for number, entry in numbered]


class Log(Protocol):
    """One process's hold of a log; not safe to share between threads, but for `wait` and `wake`.

    Attributes:
        durable: whether a record outlives the process
        shared: whether other processes may append
        start: number of the last record that lies before the log, in a bundle or a snapshot
        snapshot: name of that snapshot's folder; "" for the bundle
    """

    durable: bool
    shared: bool

    @property
    def snapshot(self) -> str: ...

    @property
    def start(self) -> int: ...

    @property
    def number(self) -> int:
        """Of the last record that was read or appended here."""

    def again(self) -> "Log":
        """Another hold of the same log, which needs every record after this one's last.

        Raises:
            JournalError: it cannot be opened.
        """

    def keys(self) -> Keys:
        """The idempotency keys as of `start`."""

    def read(self, after: int) -> list[Record]:
        """The records after the one of a number, which is `start` or a later one's.

        All of them, or as many of the first ones as have READ_BYTES together, see `pieces`.

        Raises:
            JournalDamagedError: a record is not what was written, or is missing.
            JournalError: the log cannot be read.
        """

    def append(self, records: Sequence[Record]) -> None:
        """Returns once all of them are safe; all or none are kept.

        Args:
            records: numbered on from the last record that was read or appended here.

        Raises:
            LogMovedError: others were appended meanwhile; none is kept.
            JournalError: none is kept.
        """

    def push(self, entries: Sequence[Record]) -> int:
        """Appends at the end, wherever that is by now; all or none are kept.

        Args:
            entries: whose numbers are of no account.

        Returns:
            The number of the first one; the others follow it.

        Raises:
            JournalError: none is kept.
        """

    def applied(self, number: int) -> None:
        """Tells the others that here the records up to a number are applied, and needed no more."""

    def wait(self, seconds: float) -> bool:
        """Returns when others have appended, after some time, or after `wake`; maybe earlier.

        Returns:
            Whether there can be more news: False once it is closed.
        """

    def wake(self) -> None:
        """Ends a `wait` of another thread."""

    def keeping(self) -> AbstractContextManager[bool]:
        """Whether this process alone may write, find and remove snapshots while the block runs.

        May be held while another thread uses the log.
        """

    def refresh(self) -> None:
        """Reads `start` and `snapshot` anew, which others may have moved."""

    def free(self, number: int) -> None:
        """Sees that `truncate` would not find a process that is not as far.

        Raises:
            LogHeldError: there is one.
        """

    def truncate(self, number: int, snapshot: str, keys: Keys) -> None:
        """Forgets the records up to `number`, which a snapshot holds from now on.

        Args:
            keys: as of `number` or later.

        Raises:
            LogHeldError: a process that follows, or starts, has not applied them yet.
            JournalError: nothing is forgotten; among others because the log does not hold the
                record `number`, nor begins after it.
        """

    def close(self) -> None: ...


def pieces(log: Log, after: int) -> Iterator[list[Record]]:
    """All records after the one of a number, some at a time: the next once these are done with.

    Raises:
        JournalError: see `Log.read`.
    """
    while True:
        records = log.read(after)
        if records:
            yield records
            after = records[-1].number
        if payload_bytes(records) < READ_BYTES:
            return


def payload_bytes(records: Sequence[Record]) -> int:
    return sum(len(record.payload) for record in records)
