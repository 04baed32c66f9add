"""The log in one SQLite file, for all processes on one machine."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from understudy.graph.errors import (
    JournalDamagedError,
    JournalError,
    LogHeldError,
    LogMovedError,
)
from understudy.graph.log.about import About, parse_about
from understudy.graph.log.files import identities, opening, reading_files, transaction
from understudy.graph.log.followers import Followers
from understudy.graph.log.keys import KeyedBatch, Keys
from understudy.graph.log.opening import (
    OLD_KEYS,
    LogFile,
    check_no_traces,
    next_record,
    write_about,
    write_records,
)
from understudy.graph.log.protocol import READ_BYTES, Record, pushed

logger = logging.getLogger(__name__)

RECORDS_AFTER = (
    "SELECT number, key, payload, checksum, tentative FROM records WHERE number > ? ORDER BY number"
)


class SqliteLog:
    """One process's handle on the file; records are on disk when `append` returns.

    Uses write-ahead logging, synchronised at every commit. Not for network file systems: neither
    SQLite's shared memory nor the locks of `Followers` reach beyond one machine.

    Attributes:
        about: lineage, the snapshot that the records continue, and the last record; as last read
        number: of the last record that was read or appended here
        cut: number of damaged records that were set aside
    """

    durable = True
    shared = True

    def __init__(self, path: Path, lineage: str, bundle: str = "", position: int = 0) -> None:
        """Opens the log, or creates it; cuts off damaged records, see `LogFile`.

        Args:
            lineage: of the graph whose changes it holds; "" accepts any.
            bundle: version of the bundle that a new log starts from; also identifies the graph of
                an older release's log.
            position: where a new log begins.

        Raises:
            JournalLockedError: another process holds it exclusively.
            JournalForeignError: it belongs to another graph, or is no journal.
            JournalDamagedError: it is empty, or gone although traces of it are left, or its
                description is unreadable, or it is damaged while others have it open; the file is
                left unchanged.
            JournalError: the folder or the file cannot be read or written.
        """
        self.path = path
        new = About(lineage, bundle, number=position, last=position)
        with reading_files(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                check_no_traces(path)
            self.followers = Followers(path)
            try:
                with self.followers.turn():
                    file = LogFile(path, new, self.followers.join())
                    self.files = identities(path)
                    self.followers.at(file.about.number)
            except BaseException:
                self.followers.leave()
                raise
        self.connection = file.connection
        self.about, self.cut = file.about, file.cut
        self.number, self.checksum = file.number, file.checksum

    @property
    def snapshot(self) -> str:
        """Name of the folder with the state before the records; "" for the bundle."""
        return self.about.snapshot

    @property
    def start(self) -> int:
        """Number of the last record before the log."""
        return self.about.number

    def again(self) -> "SqliteLog":
        """Opens another handle on the same file."""
        return SqliteLog(self.path, self.about.lineage)

    def keys(self) -> Keys:
        """The idempotency keys as of `start`."""
        keys = Keys()
        with opening(self.path, "read"):
            for key, number, digest in self.connection.execute(OLD_KEYS, (self.start,)):
                keys.add(key, KeyedBatch(number, digest))
        keys.begin()
        return keys

    def read(self, after: int) -> list[Record]:
        """Reads the next records after a number, see `Log.read`.

        Raises:
            JournalDamagedError: a record is not what was written.
            JournalError: the file cannot be read.
        """
        records: list[Record] = []
        number, size = after, 0
        with opening(self.path, "read"):
            checksum = self.checksum_of(after)
            with closing(self.connection.execute(RECORDS_AFTER, (after,))) as rows:
                for row in rows:
                    following = next_record(row, number, checksum)
                    if following is None:
                        raise JournalDamagedError(f"{self.path} is damaged after record {number}")
                    record, checksum = following
                    number = record.number
                    records.append(record)
                    size += len(record.payload)
                    if size >= READ_BYTES:
                        break
        self.number, self.checksum = number, checksum
        return records

    def checksum_of(self, number: int) -> bytes:
        if number == self.number:
            return self.checksum
        if number == self.start:
            return self.about.checksum
        found = self.connection.execute("SELECT checksum FROM records WHERE number = ?", (number,))
        row = found.fetchone()
        if row is None:
            raise JournalError(f"{self.path} does not contain record {number}")
        return bytes(row[0])

    def append(self, records: Sequence[Record]) -> None:
        """Appends records; returns once all are on disk; all or none are kept.

        Raises:
            LogMovedError: others appended after the last record that was read here.
            JournalError: the disk is full, or the file cannot be written; none is kept.
        """
        with self.writing("written"):
            last, checksum = self.last()
            if last != records[0].number - 1:
                raise LogMovedError(f"{self.path} goes on after record {last}")
            if last == self.number and checksum != self.checksum:
                raise JournalDamagedError(f"{self.path} is damaged at record {last}")
            checksum = write_records(self.connection, records, last, checksum)
        self.number, self.checksum = records[-1].number, checksum
        self.followers.notify()

    def push(self, entries: Sequence[Record]) -> int:
        """Appends at the current end of the log; returns the number of the first record.

        Raises:
            JournalError: the disk is full, or the file cannot be written; none is kept.
        """
        with self.writing("written"):
            last, checksum = self.last()
            records = pushed(entries, last)
            write_records(self.connection, records, last, checksum)
        self.followers.notify()
        return records[0].number

    def confirm(self) -> None:
        """Does nothing: only what is on the disk can be read."""

    @contextmanager
    def writing(self, action: str) -> Iterator[None]:
        """Runs the block as one exclusive transaction.

        Raises:
            JournalError: among others, the open files were removed or replaced: SQLite would
                continue to write to files that can no longer be opened.
        """
        with reading_files(self.path), self.followers.turn():
            if identities(self.path) != self.files:
                raise JournalError(
                    f"{self.path}, or its -wal or -shm, was removed or replaced while it is in "
                    "use, so a change would be lost with this process: put the files back; or "
                    "keep the graph by GET /graph, stop, and restore a backup"
                )
            with transaction(self.connection, self.path, action):
                yield

    def last(self) -> tuple[int, bytes]:
        """Number and checksum of the last record in the file."""
        rows = self.connection.execute(
            "SELECT value FROM about WHERE name IN ('last', 'last_checksum') ORDER BY name"
        ).fetchall()
        try:
            (last,), (checksum,) = rows
            return int(last), bytes.fromhex(checksum)
        except (ValueError, TypeError) as error:
            raise JournalDamagedError(f"{self.path} does not name its last record") from error

    def applied(self, number: int) -> None:
        """Reports that the records up to a number are applied here, and no longer needed."""
        try:
            self.followers.at(number)
        except OSError as error:  # only limits how far the log can be truncated
            logger.warning("%s: how far it is applied cannot be told: %s", self.path, error)

    def wait(self, seconds: float) -> bool:
        """Waits for news, a timeout or `wake`; False once closed."""
        return self.followers.wait(seconds)

    def wake(self) -> None:
        """Ends a `wait` of another thread."""
        self.followers.wake()

    def keeping(self) -> AbstractContextManager[bool]:
        """A block that yields whether this process alone may write, find and remove snapshots."""
        return self.followers.keeping()

    def refresh(self) -> None:
        """Reads `start` and `snapshot` again."""
        self.about = self.read_about()

    def read_about(self) -> About:
        with opening(self.path, "read"):
            rows = self.connection.execute("SELECT name, value FROM about").fetchall()
        return parse_about(dict(rows), self.path)

    def truncate(self, number: int, snapshot: str, keys: Keys) -> None:
        """Deletes the records up to `number`, which the folder `snapshot` holds from now on.

        Raises:
            LogHeldError: another process has not applied them yet.
            JournalError: nothing is deleted; among others because the log does not contain
                `number`, and does not begin after it.
        """
        with self.writing("truncated"):
            about = self.read_about()
            if not about.number <= number <= (about.last or 0):
                raise JournalError(
                    f"{self.path} holds the records {about.number + 1} to {about.last}; it cannot "
                    f"be shortened to start after {number}"
                )
            self.check_free(number)
            row = self.connection.execute(
                "SELECT checksum FROM records WHERE number = ?", (number,)
            ).fetchone()
            checksum = about.checksum if row is None else row[0]
            new = replace(about, snapshot=snapshot, number=number, checksum=checksum)
            write_about(self.connection, new)
            self.connection.execute("DELETE FROM records WHERE number <= ?", (number,))
            self.write_keys(keys, about.number, number)
        self.about = new

    def free(self, number: int) -> None:
        """Checks that all other processes have applied the records up to a number.

        Raises:
            LogHeldError: one has not.
        """
        with reading_files(self.path), self.followers.turn():
            self.check_free(number)

    def check_free(self, number: int) -> None:
        slowest = min(self.followers.others(), default=number)
        if slowest < number:
            raise LogHeldError(
                f"{self.path} cannot be shortened to start after {number} yet: another process is "
                f"at {slowest}"
            )

    def write_keys(self, keys: Keys, start: int, number: int) -> None:
        """Adds the keys of the deleted records; drops expired ones."""
        rows = list(keys.rows(number))
        oldest = rows[0][1] if rows else number + 1
        newer = [row for row in rows if row[1] > start]
        self.connection.execute("DELETE FROM keys WHERE number < ?", (oldest,))
        self.connection.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", newer)

    def close(self) -> None:
        """Closes the file; may be called again."""
        if self.followers.lock < 0:
            return
        with reading_files(self.path):
            try:
                with self.followers.turn(), closing(self.connection):
                    pass  # the last process to close it makes SQLite clean up
            finally:
                self.followers.leave()
