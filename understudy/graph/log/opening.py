"""Opens a log's file: checks its graph, positions and integrity, and handles damage.

Every record has a checksum that covers the previous one, and the last record's number and checksum
are stored separately. So a changed, missing or moved record is detected on opening. It and all
later records are cut: moved to a separate table, counted in `cut`, logged, and never applied. Only
a process that is alone with the file does that; if others are serving its content, it refuses.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy.graph.errors import JournalDamagedError, JournalError, JournalForeignError
from understudy.graph.log.about import ADVICE, SHOWN, About, parse_about
from understudy.graph.log.files import connect, make_file, opening, transaction
from understudy.graph.log.protocol import Record
from understudy.graph.log.salvage import (
    readable_rows,
    set_aside,
    set_aside_files,
    unfinished_bytes,
)

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x55534A4C  # in the file's header, to distinguish it from other databases
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    number INTEGER PRIMARY KEY, key TEXT, payload BLOB NOT NULL, checksum BLOB NOT NULL,
    tentative INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE keys (
    key TEXT PRIMARY KEY, number INTEGER NOT NULL, digest BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_by_number ON keys (number);
CREATE TABLE cut (number INTEGER, key TEXT, payload BLOB, checksum BLOB)
"""
TABLES = {"about", "records", "keys", "cut"}

ALL_RECORDS = "SELECT * FROM records ORDER BY number"  # also for format 1, which lacks `tentative`
OLD_KEYS = "SELECT key, number, digest FROM keys WHERE number <= ? ORDER BY number"


class LogFile:
    """The opened and verified file of a log.

    Attributes:
        about: lineage, the snapshot that the records continue, and the last record; as stored
        number, checksum: of the last good record
        cut: number of damaged records that are set aside
    """

    def __init__(self, path: Path, new: About, alone: bool) -> None:
        """Opens the file, or creates it; see `SqliteLog`.

        Args:
            new: description of a new file; an existing file keeps its own beginning.
            alone: no other process has it open, nor can open it before this returns.
        """
        self.path = path
        self.alone = alone
        self.about = new
        self.cut = 0
        self.older = False
        if not path.exists():
            make_file(path, self.fill_new)
        if path.stat().st_size == 0:
            raise JournalDamagedError(f"{path} is empty; {ADVICE}")
        if alone and (unfinished := unfinished_bytes(path)):
            logger.warning("%s: %d bytes of an unfinished write are dropped", path, unfinished)
        try:
            self.connection = self.open_file()
        except JournalDamagedError as error:
            self.connection = self.start_anew(error)
        try:
            self.verify()
        except BaseException:
            self.connection.close()
            raise

    def open_file(self) -> sqlite3.Connection:
        """Opens the file, and reads its description."""
        connection = connect(self.path)
        try:
            with opening(self.path, "read"):
                kind = connection.execute("PRAGMA application_id").fetchone()[0]
                names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
                tables = {name for (name,) in names}
                if kind != APPLICATION_ID and (kind != 0 or tables):
                    raise JournalForeignError(
                        f"{self.path} is a database, but not a journal of understudy"
                    )
                if missing := TABLES - tables:
                    raise JournalDamagedError(
                        f"{self.path} is damaged: it has no table {min(missing)!r}; {ADVICE}"
                    )
                self.check_about(dict(connection.execute("SELECT name, value FROM about")))
                self.cut = int(connection.execute("SELECT count(*) FROM cut").fetchone()[0])
            self.carry_over(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def check_about(self, found: dict[object, object]) -> None:
        """Adopts a file's description, if the file is ours."""
        about = parse_about(found, self.path)
        if not about.lineage:
            if about.bundle != self.about.bundle or not self.about.lineage:
                raise JournalForeignError(
                    f"{self.path} was written by an older release, which identified its graph by "
                    f"the bundle {about.bundle}; start the service once with that bundle, after "
                    "that with any bundle of the graph"
                )
            about = replace(about, lineage=self.about.lineage)
            self.older = True
        elif self.about.lineage not in ("", about.lineage):
            raise JournalForeignError(
                f"{self.path} holds changes of the graph {about.lineage[:SHOWN]}, but the bundle "
                f"is of the graph {self.about.lineage[:SHOWN]}; use a separate data folder for "
                "each graph"
            )
        self.about = about

    def carry_over(self, connection: sqlite3.Connection) -> None:
        """Upgrades a file of an older format; its records stay."""
        if not self.older:
            return
        with opening(self.path, "read"):
            columns = connection.execute("SELECT name FROM pragma_table_info('records')")
            first = ("tentative",) not in columns.fetchall()
        with transaction(connection, self.path, "carried over"):
            if first:
                connection.execute(
                    "ALTER TABLE records ADD COLUMN tentative INTEGER NOT NULL DEFAULT 0"
                )
            write_about(connection, self.about)
        logger.info(
            "%s, written by an older release, was converted: it holds changes of the graph %s",
            self.path,
            self.about.lineage[:SHOWN],
        )

    def fill_new(self, connection: sqlite3.Connection) -> None:
        """Creates the tables of a file without records."""
        with transaction(connection, self.path, "made"):
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            write_about(connection, self.about)

    def verify(self) -> None:
        """Verifies every record, and cuts damaged ones."""
        try:
            self.read_through()
        except sqlite3.DatabaseError as error:
            self.connection.close()
            self.connection = self.start_anew(error)
            self.read_through()
        self.repair()

    def read_through(self) -> None:
        """Finds the last good record, without holding the records in memory."""
        deque(self.good(self.connection.execute(ALL_RECORDS)), maxlen=0)

    def good(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Record]:
        """Yields the rows up to the first that is missing or was changed, where the log ends."""
        self.number, self.checksum = self.about.number, self.about.checksum
        for row in rows:
            following = next_record(row, self.number, self.checksum)
            if following is None:
                break
            record, checksum = following
            if record.number == self.about.last and checksum != self.about.last_checksum:
                break
            self.number, self.checksum = record.number, checksum
            yield record

    def repair(self) -> None:
        """Sets aside all damaged records, and updates `about`."""
        start = self.about.number
        bad = "number > ? OR number <= ?"
        count = "SELECT count(*) FROM records WHERE " + bad
        moved = int(self.connection.execute(count, (self.number, start)).fetchone()[0])
        missing = max((self.about.last or 0) - self.number, 0)
        about = replace(self.about, last=self.number, last_checksum=self.checksum)
        if moved or missing:
            self.refuse_beside_others(f"after record {self.number}")
        with transaction(self.connection, self.path, "repaired"):
            if moved:
                self.connection.execute(
                    "INSERT INTO cut SELECT number, key, payload, checksum FROM records"
                    f" WHERE {bad}",
                    (self.number, start),
                )
                self.connection.execute(f"DELETE FROM records WHERE {bad}", (self.number, start))
            # The records after the snapshot contain their keys themselves.
            self.connection.execute("DELETE FROM keys WHERE number > ?", (start,))
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

    def refuse_beside_others(self, where: str, cause: Exception | None = None) -> None:
        """Refuses to repair a damaged file that other processes have open.

        Raises:
            JournalDamagedError: there are others.
        """
        if not self.alone:
            raise JournalDamagedError(
                f"{self.path} is damaged {where}, and other processes have it open; stop them, "
                "then start a single one, which keeps the good records"
            ) from cause

    def start_anew(self, error: Exception) -> sqlite3.Connection:
        """Writes a damaged file's good records into a new one; keeps the damaged one beside it.

        Raises:
            JournalDamagedError: its description is unreadable, or others have it open; the file
                stays where it is.
        """
        self.refuse_beside_others(f"({error})", error)
        about = dict(readable_rows(self.path, "SELECT name, value FROM about"))
        if not about:
            raise JournalDamagedError(
                f"{self.path} is damaged, and nothing in it can be read ({error}); {ADVICE}"
            ) from error
        self.check_about(about)
        records = list(self.good(readable_rows(self.path, ALL_RECORDS)))
        older = readable_rows(self.path, OLD_KEYS.replace("?", str(self.about.number)))
        kept: list[Path] = []

        def fill(connection: sqlite3.Connection) -> None:
            self.fill_new(connection)
            last, checksum = self.about.number, self.about.checksum
            with transaction(connection, self.path, "written"):
                write_records(connection, records, last, checksum)
                connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", older)
            kept.append(set_aside(self.path))  # only after the new one is written

        make_file(self.path, fill)
        logger.error(
            "%s cannot be read after record %d (%s): the records before are kept, the rest is cut; "
            "%s is the damaged file",
            self.path,
            self.number,
            error,
            kept[0],
        )
        self.about = replace(self.about, last=self.number, last_checksum=self.checksum)
        self.cut = 1  # at least; the real number is unknown
        return connect(self.path)


def check_no_traces(path: Path) -> None:
    """Checks that a journal that was missing never existed.

    Another process may create it meanwhile, its write-ahead log after it.

    Raises:
        JournalDamagedError: its write-ahead log is left, or files of an interrupted repair.
    """
    traces = sorted(path.parent.glob(f"{path.name}-wal")) + set_aside_files(path)
    if traces and not path.exists():
        raise JournalDamagedError(
            f"{path} is missing, although {traces[0].name} is there; {ADVICE}"
        )


def next_record(row: tuple[Any, ...], last: int, before: bytes) -> tuple[Record, bytes] | None:
    """Converts a row to the next record and its checksum; None if it is not what was written.

    Args:
        row: number, key, payload, checksum and, except in format 1, tentative.
        last: number of the previous record.
        before: its checksum.
    """
    number, key, payload, checksum, *tentative = row
    if not isinstance(payload, bytes) or not isinstance(key, str | None) or number != last + 1:
        return None
    record = Record(number, key, payload, bool(tentative[0]) if tentative else False)
    return None if record.checksum(before) != checksum else (record, checksum)


def write_records(
    connection: sqlite3.Connection, records: Sequence[Record], last: int, checksum: bytes
) -> bytes:
    """Inserts the next records; returns the checksum of the last one.

    Args:
        last: number of the previous record.
        checksum: its checksum.

    Raises:
        JournalError: the numbers are not consecutive.
    """
    rows = []
    for record in records:
        if record.number != last + 1:
            raise JournalError(f"record {record.number} does not follow record {last}")
        last, checksum = record.number, record.checksum(checksum)
        rows.append((last, record.key, record.payload, checksum, int(record.tentative)))
    connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "INSERT OR REPLACE INTO about VALUES (?, ?)",
        (("last", str(last)), ("last_checksum", checksum.hex())),
    )
    return checksum


def write_about(connection: sqlite3.Connection, about: About) -> None:
    connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.rows().items())
