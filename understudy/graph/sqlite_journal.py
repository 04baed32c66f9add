"""The journal in one SQLite file, for one process at a time."""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy.graph.errors import JournalDamagedError, JournalError, JournalForeignError
from understudy.graph.journal import KEYS_KEPT, Known, Record
from understudy.graph.journal_about import ADVICE, About, parse_about
from understudy.graph.salvage import readable_rows, set_aside, set_aside_files, unfinished_bytes
from understudy.graph.sqlite_files import connect, make_file, opening, reading_files, transaction

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x55534A4C  # in the file's header, so that another database is not mistaken
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    number INTEGER PRIMARY KEY, key TEXT, payload BLOB NOT NULL, checksum BLOB NOT NULL
);
CREATE TABLE keys (
    key TEXT PRIMARY KEY, number INTEGER NOT NULL, digest BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_by_number ON keys (number);
CREATE TABLE cut (number INTEGER, key TEXT, payload BLOB, checksum BLOB)
"""
TABLES = {"about", "records", "keys", "cut"}

RECORDS = "SELECT number, key, payload, checksum FROM records ORDER BY number"
NEW_KEYS = "SELECT key, number, digest FROM keys WHERE number > ?"
OLD_KEYS = "SELECT key, number, digest FROM keys WHERE number <= {} ORDER BY number"


class SqliteJournal:
    """Records in a table, written ahead and synchronised at every commit.

    Every record has a checksum that covers the one before, and the last record's number and
    checksum stand beside them, so that a changed, missing or moved record is noticed when the
    journal is opened. It and all after it are cut: set aside in a table of their own, counted in
    `cut` and logged, and never replayed.

    Attributes:
        about: bundle, the snapshot that the records go on from, and the last record; as in the file
        number: of the last record
        cut: how many damaged records are set aside
    """

    durable = True

    def __init__(self, path: Path, bundle: str) -> None:
        """Opens the journal, or makes a new one; `recover` must come next.

        Args:
            bundle: identity of the bundle whose graph the records change.

        Raises:
            JournalLockedError: another process has it.
            JournalForeignError: it belongs to another bundle, or is no journal.
            JournalDamagedError: it is empty, or gone although traces of it are left, or what it is
                about cannot be read; what is there stays as it is.
            JournalError: the folder or the file cannot be read or written.
        """
        self.path = path
        self.about = About(bundle)
        with reading_files(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                check_no_traces(path)
                make_file(path, self.fill_new)
            if path.stat().st_size == 0:
                raise JournalDamagedError(f"{path} is empty; {ADVICE}")
            if unfinished := unfinished_bytes(path):
                logger.warning("%s: %d bytes of an unfinished write are dropped", path, unfinished)
        try:
            self.connection = self.open_file()
        except JournalDamagedError as error:
            self.connection = self.start_anew(error)
        self.number, self.checksum = self.start, self.about.checksum

    @property
    def snapshot(self) -> str:
        """Name of the folder that holds what came before the records; "" for the bundle."""
        return self.about.snapshot

    @property
    def start(self) -> int:
        """Number of the last record that lies before the journal."""
        return self.about.number

    def open_file(self) -> sqlite3.Connection:
        """Opens the file, and reads what it is about."""
        connection = connect(self.path)
        try:
            with opening(self.path, "read"):
                kind = connection.execute("PRAGMA application_id").fetchone()[0]
                names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
                tables = {name for (name,) in names}
                if kind != APPLICATION_ID and (kind != 0 or tables):
                    raise JournalForeignError(f"{self.path} is a database, but no journal of ours")
                if missing := TABLES - tables:
                    raise JournalDamagedError(
                        f"{self.path} is damaged: it has no table {min(missing)!r}; {ADVICE}"
                    )
                self.check_about(dict(connection.execute("SELECT name, value FROM about")))
                self.cut = int(connection.execute("SELECT count(*) FROM cut").fetchone()[0])
        except BaseException:
            connection.close()
            raise
        return connection

    def check_about(self, found: dict[object, object]) -> None:
        """Takes over what a file is about, if it is ours."""
        about = parse_about(found, self.path)
        if about.bundle != self.about.bundle:
            raise JournalForeignError(
                f"{self.path} holds changes of the bundle {about.bundle}, not of "
                f"{self.about.bundle}; give every bundle a folder of its own"
            )
        self.about = about

    def fill_new(self, connection: sqlite3.Connection) -> None:
        """Makes the tables of a file without records."""
        with transaction(connection, self.path, "made"):
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            write_about(connection, self.about)

    def recover(self) -> list[Record]:
        """Reads every record after the snapshot; once, before anything is appended.

        Raises:
            JournalError: the file cannot be read or written.
        """
        try:
            records = self.good_records(self.connection.execute(RECORDS))
            keys = set(self.connection.execute(NEW_KEYS, (self.start,)))
        except sqlite3.DatabaseError as error:
            self.connection.close()
            self.connection = self.start_anew(error)
            records = self.good_records(self.connection.execute(RECORDS))
            keys = set(self.connection.execute(NEW_KEYS, (self.start,)))
        self.repair(records, keys)
        return records

    def good_records(self, rows: Iterable[tuple[Any, ...]]) -> list[Record]:
        """The rows up to the first that is missing or was changed; the journal ends with it."""
        self.number, self.checksum = self.start, self.about.checksum
        records: list[Record] = []
        for number, key, payload, checksum in rows:
            record = Record(number, key, payload)
            if not isinstance(payload, bytes) or not isinstance(key, str | None):
                break
            if number != self.number + 1 or record.checksum(self.checksum) != checksum:
                break
            if number == self.about.last and checksum != self.about.last_checksum:
                break
            records.append(record)
            self.number, self.checksum = number, checksum
        return records

    def repair(self, records: Sequence[Record], keys: set[tuple[Any, ...]]) -> None:
        """Sets aside all that is no good record; keys and `about` then tell of the good ones.

        Args:
            keys: rows of the table `keys` that claim to be of a record after the snapshot.
        """
        bad = "number > ? OR number <= ?"
        bounds = (self.number, self.start)
        missing = max((self.about.last or 0) - self.number, 0)
        about = replace(self.about, last=self.number, last_checksum=self.checksum)
        with transaction(self.connection, self.path, "repaired"):
            moved = self.connection.execute(
                f"INSERT INTO cut SELECT number, key, payload, checksum FROM records WHERE {bad}",
                bounds,
            ).rowcount
            if moved:
                self.connection.execute(f"DELETE FROM records WHERE {bad}", bounds)
            if keys != set(key_rows(records)):
                self.connection.execute("DELETE FROM keys WHERE number > ?", (self.start,))
                write_keys(self.connection, records)
            if about != self.about:
                write_about(self.connection, about)
        self.about = about
        self.cut += moved
        if moved or missing:
            logger.error(
                "%s is damaged after record %d: %d records were cut, its table `cut` keeps them; "
                "%d that were acknowledged are not there as they were written",
                self.path,
                self.number,
                moved,
                max(missing, moved),
            )
        elif keys != set(key_rows(records)):
            logger.error("%s: its idempotency keys were damaged, the records' own count", self.path)

    def start_anew(self, error: Exception) -> sqlite3.Connection:
        """Puts what is good of a damaged file into a new one; the damaged one stays beside it.

        Raises:
            JournalDamagedError: what it is about cannot be read; the file stays where it is.
        """
        with reading_files(self.path):
            about = dict(readable_rows(self.path, "SELECT name, value FROM about"))
            if not about:
                raise JournalDamagedError(
                    f"{self.path} is damaged, and nothing in it can be read ({error}); {ADVICE}"
                ) from error
            self.check_about(about)
            records = self.good_records(readable_rows(self.path, RECORDS))
            older = readable_rows(self.path, OLD_KEYS.format(self.start))
            kept: list[Path] = []

            def fill(connection: sqlite3.Connection) -> None:
                self.fill_new(connection)
                self.insert(connection, records, self.about.checksum)
                with transaction(connection, self.path, "written"):
                    connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", older)
                kept.append(set_aside(self.path))  # not before the new one is written

            make_file(self.path, fill)
        logger.error(
            "%s cannot be read after record %d (%s): the records before are kept, the rest is cut; "
            "%s is the damaged file",
            self.path,
            self.number,
            error,
            kept[0],
        )
        self.cut = 1  # at least; how many there were is not known
        return connect(self.path)

    def append(self, records: Sequence[Record]) -> None:
        """Returns once all records are on the disk; all or none are kept.

        Raises:
            JournalError: the disk is full, or the file cannot be written; none is kept.
        """
        if not records:
            return
        self.about = self.insert(self.connection, records, self.checksum)
        self.number, self.checksum = records[-1].number, self.about.last_checksum

    def insert(
        self, connection: sqlite3.Connection, records: Sequence[Record], checksum: bytes
    ) -> About:
        """Inserts records after the one of a checksum; returns what the file then is about."""
        rows: list[tuple[Any, ...]] = []
        for record in records:
            checksum = record.checksum(checksum)
            rows.append((record.number, record.key, record.payload, checksum))
        last = records[-1].number if records else self.start
        about = replace(self.about, last=last, last_checksum=checksum)
        with transaction(connection, self.path, "written"):
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
            write_keys(connection, records)
            write_about(connection, about)
        return about

    def find(self, key: str) -> Known | None:
        """The batch that came with a key."""
        with opening(self.path, "read"):
            row = self.connection.execute(
                "SELECT number, digest FROM keys WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else Known(*row)

    def truncate(self, number: int, snapshot: str) -> None:
        """Forgets the records up to `number`, which the folder `snapshot` holds from now on.

        Raises:
            JournalError: nothing is forgotten; among others because `number` is none of the
                records', nor the one before them.
        """
        if not self.start <= number <= self.number:
            raise JournalError(
                f"{self.path} holds the records {self.start + 1} to {self.number}; it cannot "
                f"begin after {number}"
            )
        with transaction(self.connection, self.path, "truncated"):
            row = self.connection.execute(
                "SELECT checksum FROM records WHERE number = ?", (number,)
            ).fetchone()
            checksum = self.about.checksum if row is None else row[0]
            about = replace(self.about, snapshot=snapshot, number=number, checksum=checksum)
            write_about(self.connection, about)
            self.connection.execute("DELETE FROM records WHERE number <= ?", (number,))
            self.connection.execute(
                "DELETE FROM keys WHERE number <="
                " (SELECT number FROM keys ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (KEYS_KEPT,),
            )
        self.about = about

    def close(self) -> None:
        self.connection.close()


def check_no_traces(path: Path) -> None:
    """Sees that a journal which is not there never was.

    Raises:
        JournalDamagedError: its write-ahead log is left, or what an interrupted repair set aside.
    """
    traces = sorted(path.parent.glob(f"{path.name}-wal")) + set_aside_files(path)
    if traces:
        raise JournalDamagedError(
            f"{path} is missing, although {traces[0].name} lies beside it; {ADVICE}"
        )


def key_rows(records: Sequence[Record]) -> list[tuple[str, int, bytes]]:
    """What the table `keys` says of records; of a key that came twice, the last time."""
    known = {r.key: (r.key, r.number, r.digest) for r in records if r.key is not None}
    return list(known.values())


def write_keys(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    connection.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", key_rows(records))


def write_about(connection: sqlite3.Connection, about: About) -> None:
    connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.rows().items())
