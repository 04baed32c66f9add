"""Logs in memory, which end with the process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Lock

from understudy.graph.errors import JournalError, LogHeldError, LogMovedError
from understudy.graph.log.keys import Keys
from understudy.graph.log.protocol import Record, pushed


class MemoryLog:
    """A log for one process: stores nothing, except for heirs that read what was appended."""

    durable = False
    shared = False
    snapshot = ""

    def __init__(self, position: int = 0) -> None:
        """Begins after a record of that number."""
        self.start = self.number = position
        self.heirs: list[MemoryLog] = []
        self.closed = False
        self.inherited: list[Record] = []

    def again(self) -> "MemoryLog":
        """A log that continues from here, and receives what is still appended to this one."""
        heir = MemoryLog(self.number)
        self.heirs.append(heir)
        return heir

    def keys(self) -> Keys:
        return Keys()

    def read(self, after: int) -> list[Record]:
        """Inherited records after the given one; earlier ones are dropped."""
        found = self.inherited[:]  # atomic: the original log may be appended to meanwhile
        known = sum(record.number <= after for record in found)
        del self.inherited[:known]
        self.number = max([self.number, *(record.number for record in found)])
        return found[known:]

    def append(self, records: Sequence[Record]) -> None:
        self.number = records[-1].number
        self.heirs = [heir for heir in self.heirs if not heir.closed]
        for heir in self.heirs:
            heir.inherited.extend(records)

    def push(self, entries: Sequence[Record]) -> int:
        raise JournalError("no other process writes to this log, so there is nothing to wait for")

    def confirm(self) -> None:
        """Does nothing: records are as safe as they can be."""

    def applied(self, number: int) -> None:
        """Does nothing: there are no other processes."""

    def wait(self, seconds: float) -> bool:
        """Returns at once: there is no news."""
        return False

    def wake(self) -> None:
        """Does nothing: nothing waits."""

    @contextmanager
    def keeping(self) -> Iterator[bool]:
        yield True

    def refresh(self) -> None:
        """Does nothing: nothing changes."""

    def free(self, number: int) -> None:
        """Does nothing: there are no other processes."""

    def truncate(self, number: int, snapshot: str, keys: Keys) -> None:
        """Does nothing: no records are stored."""

    def close(self) -> None:
        """Stops inheriting records."""
        self.closed = True


@dataclass
class SharedRecords:
    """The records that several holders share, and the positions that they have applied."""

    start: int = 0
    snapshot: str = ""
    keys: Keys = field(default_factory=Keys)
    records: list[Record] = field(default_factory=list)
    applied: dict[int, int] = field(default_factory=dict)  # by holder
    changed: Condition = field(default_factory=Condition)
    snapshots: Lock = field(default_factory=Lock)

    @property
    def last(self) -> int:
        return self.start + len(self.records)


class SharedMemoryLog:
    """One of several handles on a log in one process, which act like separate processes."""

    durable = False
    shared = True

    def __init__(self, common: SharedRecords) -> None:
        self.common = common
        with common.changed:
            self.start, self.snapshot = common.start, common.snapshot
            self.first_keys = common.keys.copy()
            common.applied[id(self)] = self.start
        self.number = self.start
        self.woken = False

    def again(self) -> "SharedMemoryLog":
        return SharedMemoryLog(self.common)

    def keys(self) -> Keys:
        return self.first_keys.copy()

    def read(self, after: int) -> list[Record]:
        with self.common.changed:
            if after < self.common.start:
                raise JournalError(
                    f"the log starts after record {self.common.start}, not after {after}"
                )
            found = self.common.records[after - self.common.start :]
        self.number = after + len(found)
        return found

    def append(self, records: Sequence[Record]) -> None:
        with self.common.changed:
            if records[0].number != self.common.last + 1:
                raise LogMovedError("other records were appended in the meantime")
            self.extend(records)

    def push(self, entries: Sequence[Record]) -> int:
        with self.common.changed:
            records = pushed(entries, self.common.last)
            self.common.records.extend(records)
            self.common.changed.notify_all()
        return records[0].number

    def confirm(self) -> None:
        """Does nothing: records are as safe as they can be."""

    def extend(self, records: Sequence[Record]) -> None:
        self.common.records.extend(records)
        self.common.changed.notify_all()
        self.number = self.common.last

    def applied(self, number: int) -> None:
        with self.common.changed:
            self.common.applied[id(self)] = number

    def wait(self, seconds: float) -> bool:
        with self.common.changed:
            self.common.changed.wait_for(
                lambda: self.woken or self.common.last > self.number, seconds
            )
            self.woken = False
            return id(self) in self.common.applied

    def wake(self) -> None:
        with self.common.changed:
            self.woken = True
            self.common.changed.notify_all()

    @contextmanager
    def keeping(self) -> Iterator[bool]:
        mine = self.common.snapshots.acquire(blocking=False)
        try:
            yield mine
        finally:
            if mine:
                self.common.snapshots.release()

    def refresh(self) -> None:
        with self.common.changed:
            self.start, self.snapshot = self.common.start, self.common.snapshot

    def free(self, number: int) -> None:
        with self.common.changed:
            others = [at for holder, at in self.common.applied.items() if holder != id(self)]
            if (slowest := min(others, default=number)) < number:
                raise LogHeldError(f"another process is at {slowest} of {number}")

    def truncate(self, number: int, snapshot: str, keys: Keys) -> None:
        with self.common.changed:
            common = self.common
            if not common.start <= number <= common.last:
                raise JournalError(f"the log cannot be shortened to start after record {number}")
            self.free(number)
            del common.records[: number - common.start]
            common.start, common.snapshot = number, snapshot
            common.keys = Keys()
            for key in list(keys.rows(number)):
                common.keys.batches[key[0]] = keys.batches[key[0]]
            self.start, self.snapshot = number, snapshot

    def close(self) -> None:
        with self.common.changed:
            self.common.applied.pop(id(self), None)
            self.wake()
