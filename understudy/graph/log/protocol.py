"""The interface of a log: batches of changes in one order, which every process applies alike.

There is no leader. A process that receives a change appends it, applies the log up to it, and
answers with the outcome. There are two ways to add to the log:

- `append` takes records that were checked against the graph as of the record before them. It
  refuses if another process appended meanwhile. A single process needs nothing else.
- `push` adds a record at the current end of the log. It is accepted or refused when it is applied,
  by the graph and the idempotency keys at that position alone, so every process decides alike.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from understudy.graph.log.keys import Keys

# Size of the payloads that are read at a time: a log may be far larger than memory.
READ_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Record:
    """One batch of mutations.

    Attributes:
        number: its position, and the version that it leads to; numbered without gaps.
        key: the caller's idempotency key.
        payload: see `understudy.graph.mutations.encode_mutations`.
        tentative: it was pushed, so it is accepted or refused when it is applied. Any other record
            was checked before it was appended.
    """

    number: int
    key: str | None
    payload: bytes
    tentative: bool = False

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload; batches with a repeated key are compared by it."""
        return hashlib.sha256(self.payload).digest()

    def checksum(self, previous: bytes) -> bytes:
        """SHA-256 over this record and the previous record's checksum."""
        key = b"" if self.key is None else b"=" + self.key.encode("utf-8", "surrogatepass")
        if self.tentative:
            key = b"?" + key
        head = previous + self.number.to_bytes(8, "big") + len(key).to_bytes(8, "big")
        return hashlib.sha256(head + key + self.payload).digest()


def pushed(entries: Sequence[Record], last: int) -> list[Record]:
    """The entries renumbered to follow the record `last`, and marked tentative."""
    numbered = enumerate(entries, start=last + 1)
    return [replace(entry, number=number, tentative=True) for number, entry in numbered]


class Log(Protocol):
    """One process's handle on a log; not thread-safe, except for `wait` and `wake`.

    Attributes:
        durable: whether a record outlives the process
        shared: whether other processes may append
        start: number of the last record before the log, which a bundle or a snapshot holds
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
        """Number of the last record that was read or appended here."""

    def again(self) -> "Log":
        """Opens another handle on the same log, which needs every record after this one's last.

        Raises:
            JournalError: it cannot be opened.
        """

    def keys(self) -> Keys:
        """The idempotency keys as of `start`."""

    def read(self, after: int) -> list[Record]:
        """Reads the records after a number, which is at least `start`.

        Returns all of them, or the first READ_BYTES of them, see `pieces`.

        Raises:
            JournalDamagedError: a record is not what was written, or is missing.
            JournalError: the log cannot be read.
        """

    def append(self, records: Sequence[Record]) -> None:
        """Appends records; returns once all of them are safe; all or none are kept.

        Args:
            records: numbered on from the last record that was read or appended here.

        Raises:
            LogMovedError: others appended meanwhile; none is kept.
            JournalError: none is kept.
        """

    def push(self, entries: Sequence[Record]) -> int:
        """Appends at the current end of the log; all or none are kept.

        Args:
            entries: their numbers are ignored.

        Returns:
            The number of the first one; the others follow it.

        Raises:
            JournalError: none is kept.
        """

    def confirm(self) -> None:
        """Returns once all records that were read here are as safe as those that were appended.

        Raises:
            LogUnsureError: they are not yet.
            JournalError: that cannot be found out.
        """

    def applied(self, number: int) -> None:
        """Reports that the records up to a number are applied here, and no longer needed."""

    def wait(self, seconds: float) -> bool:
        """Waits until others have appended, for a timeout, or for `wake`; may return earlier.

        Returns:
            Whether more news is possible: False once it is closed.
        """

    def wake(self) -> None:
        """Ends a `wait` of another thread."""

    def keeping(self) -> AbstractContextManager[bool]:
        """A block that yields whether this process alone may write, find and remove snapshots.

        May be held while another thread uses the log.
        """

    def refresh(self) -> None:
        """Reads `start` and `snapshot` again, which others may have moved."""

    def free(self, number: int) -> None:
        """Checks that `truncate` would not find a process that lags behind.

        Raises:
            LogHeldError: one does.
        """

    def truncate(self, number: int, snapshot: str, keys: Keys) -> None:
        """Deletes the records up to `number`, which a snapshot holds from now on.

        Args:
            keys: as of `number` or later.

        Raises:
            LogHeldError: a process that follows, or starts, has not applied them yet.
            JournalError: nothing is deleted; among others because the log does not hold the record
                `number`, and does not begin after it.
        """

    def close(self) -> None: ...


def pieces(log: Log, after: int) -> Iterator[list[Record]]:
    """Yields all records after a number in parts; each part is read when the previous is done.

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
