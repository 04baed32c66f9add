"""A journal of mutations: what is acknowledged is in it, and starting again replays it.

`SqliteJournal` serves one process. Replicas that share a graph need a journal that all of them
read, such as a Redis Stream; it would have this protocol's shape.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

KEYS_KEPT = 100_000  # idempotency keys, newest first; older ones count as new again


@dataclass(frozen=True, slots=True)
class Record:
    """One batch of mutations.

    Attributes:
        number: the version that it leads to; records are numbered without a gap.
        key: the caller's idempotency key.
        payload: see `understudy.graph.mutations.encode_mutations`.
    """

    number: int
    key: str | None
    payload: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: what a repeated key is compared by."""
        return hashlib.sha256(self.payload).digest()

    def checksum(self, previous: bytes) -> bytes:
        """SHA-256 over this record and the checksum of the one before."""
        key = b"" if self.key is None else b"=" + self.key.encode("utf-8", "surrogatepass")
        head = previous + self.number.to_bytes(8, "big") + len(key).to_bytes(8, "big")
        return hashlib.sha256(head + key + self.payload).digest()


@dataclass(frozen=True, slots=True)
class Known:
    """The batch that an idempotency key stands for."""

    number: int
    digest: bytes  # of its payload


class Journal(Protocol):
    """One writer's journal; not safe to share between threads.

    Attributes:
        durable: whether a record outlives the process
        start: number of the last record that lies before the journal, in a bundle or a snapshot
        number: of the last record
        snapshot: name of that snapshot's folder; "" for the bundle
    """

    durable: bool

    @property
    def snapshot(self) -> str: ...

    @property
    def start(self) -> int: ...

    @property
    def number(self) -> int: ...

    def recover(self) -> list[Record]:
        """The records after `start`; to be called once, before anything is appended."""

    def append(self, records: Sequence[Record]) -> None:
        """Returns once all of them are safe; all or none are kept.

        Raises:
            JournalError: none of them is kept.
        """

    def find(self, key: str) -> Known | None:
        """The batch that came with a key."""

    def truncate(self, number: int, snapshot: str) -> None:
        """Forgets the records up to `number`, which a snapshot holds from now on.

        Raises:
            JournalError: nothing is forgotten; among others because the journal does not hold
                the record `number`, nor begins after it.
        """

    def close(self) -> None: ...


class MemoryJournal:
    """Knows keys, and forgets all when the process ends."""

    durable = False
    start = 0
    snapshot = ""

    def __init__(self) -> None:
        self.number = 0
        self.keys: OrderedDict[str, Known] = OrderedDict()

    def recover(self) -> list[Record]:
        return []

    def append(self, records: Sequence[Record]) -> None:
        for record in records:
            self.number = record.number
            if record.key is not None:
                self.keys[record.key] = Known(record.number, record.digest)
        while len(self.keys) > KEYS_KEPT:
            self.keys.popitem(last=False)

    def find(self, key: str) -> Known | None:
        return self.keys.get(key)

    def truncate(self, number: int, snapshot: str) -> None:
        """There is nothing to forget."""

    def close(self) -> None:
        """There is nothing to close."""
