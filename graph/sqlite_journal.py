"""The journal in one SQLite file, for one process at a time."""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from graph.errors import JournalDamagedError, JournalError, JournalForeignError
from graph.journal import KEYS_KEPT, Known, Record
from graph.salvage import readable_rows, set_aside, unfinished_bytes
from graph.sqlite_files import connect, opening, transaction

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x55534A4C  # in the file's header, so that another database is not mistaken
FORMAT = "1"
NO_CHECKSUM = bytes(32).hex()  # before the first record
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


RECORDS = "SELECT number, key, payload, checksum FROM records ORDER BY number"


class SqliteJournal:
    """Records in a table, written ahead and synchronised at every commit.

    Every record has a checksum that covers the one before, so that a changed, missing or moved
    record is noticed when the journal is opened. It and all after it are cut: set aside in a table
    of their own, counted in `cut` and logged, and never replayed.

    Attributes:
        about: format, bundle, and the snapshot that the records go on from: its folder's name (""
            is the bundle itself), its number and the checksum of its last record
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
            JournalError: the folder or the file cannot be read or written.
        """
        self.path = path
        self.about = {
            "format": FORMAT,
            "bundle": bundle,
            "snapshot": "",
            "number": "0",
            "checksum": NO_CHECKSUM,
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"cannot make {path.parent}: {error.strerror}") from error
        if unfinished := unfinished_bytes(path):
            logger.warning("%s: %d bytes of an unfinished write are dropped", path, unfinished)
        try:
            self.connection = self.open_file()
        except JournalDamagedError as error:
            self.connection = self.start_anew(error)
        self.number = self.start
        self.checksum = bytes.fromhex(self.about["checksum"])

    @property
    def snapshot(self) -> str:
        """Name of the folder that holds what came before the records; "" for the bundle."""
        return self.about["snapshot"]

    @property
    def start(self) -> int:
        """Number of the last record that lies before the journal."""
        return int(self.about["number"])

    def open_file(self) -> sqlite3.Connection:
        """Opens or makes the file, and reads what it is about."""
        connection = connect(self.path)
        try:
            with opening(self.path, "read"):
                kind = connection.execute("PRAGMA application_id").fetchone()[0]
                tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
                if kind == 0 and tables == 0:
                    self.create(connection)
                if kind not in (0, APPLICATION_ID):
                    raise JournalForeignError(f"{self.path} is a database, but no journal of ours")
                self.check_about(dict(connection.execute("SELECT name, value FROM about")))
                self.cut = int(connection.execute("SELECT count(*) FROM cut").fetchone()[0])
        except BaseException:
            connection.close()
            raise
        return connection

    def check_about(self, found: dict[str, str]) -> None:
        """Takes over what a file is about, if it is ours."""
        if found.get("format") != FORMAT:
            raise JournalForeignError(
                f"{self.path} has journal format {found.get('format')}, this release reads {FORMAT}"
            )
        if found.get("bundle") != self.about["bundle"]:
            raise JournalForeignError(
                f"{self.path} holds changes of the bundle {found.get('bundle')}, not of "
                f"{self.about['bundle']}; give every bundle a folder of its own"
            )
        self.about = found

    def create(self, connection: sqlite3.Connection) -> None:
        with transaction(connection, self.path, "made"):
            for statement in SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.executemany("INSERT INTO about VALUES (?, ?)", self.about.items())

    def recover(self) -> list[Record]:
        """Reads every record after the snapshot; once, before anything is appended.

        Raises:
            JournalError: the file cannot be read or written.
        """
        try:
            records = self.good_records(self.connection.execute(RECORDS))
        except sqlite3.DatabaseError as error:
            self.connection.close()
            self.connection = self.start_anew(error)
            records = self.good_records(self.connection.execute(RECORDS))
        self.cut_tail()
        return records

    def good_records(self, rows: Iterable[tuple[Any, ...]]) -> list[Record]:
        """The rows up to the first that is missing or was changed; the journal ends with it."""
        self.number, self.checksum = self.start, bytes.fromhex(self.about["checksum"])
        records: list[Record] = []
        for number, key, payload, checksum in rows:
            record = Record(number, key, payload)
            if not isinstance(payload, bytes) or not isinstance(key, str | None):
                break
            if number != self.number + 1 or record.checksum(self.checksum) != checksum:
                break
            records.append(record)
            self.number, self.checksum = number, checksum
        return records

    def cut_tail(self) -> None:
        """Sets aside everything that is not a good record."""
        bad = "number > ? OR number <= ?"
        bounds = (self.number, self.start)
        with transaction(self.connection, self.path, "repaired"):
            moved = self.connection.execute(
                f"INSERT INTO cut SELECT number, key, payload, checksum FROM records WHERE {bad}",
                bounds,
            ).rowcount
            if moved:
                self.connection.execute(f"DELETE FROM records WHERE {bad}", bounds)
                self.connection.execute("DELETE FROM keys WHERE number > ?", bounds[:1])
        if moved:
            self.cut += moved
            logger.error(
                "%s is damaged after record %d: %d records were cut; its table `cut` keeps them",
                self.path,
                self.number,
                moved,
            )

    def start_anew(self, error: Exception) -> sqlite3.Connection:
        """Puts what is good of a damaged file into a new one; the damaged one stays beside it.

        Raises:
            JournalDamagedError: not even its bundle can be read; the file stays where it is.
        """
        about = dict(readable_rows(self.path, "SELECT name, value FROM about"))
        if not about:
            raise JournalDamagedError(
                f"{self.path} is damaged, and nothing in it can be read ({error}); put a copy in "
                "its place, or move it away to begin again with the bundle's graph"
            ) from error
        self.check_about(about)
        records = self.good_records(readable_rows(self.path, RECORDS))
        kept = set_aside(self.path)
        logger.error(
            "%s cannot be read after record %d (%s): the records before are kept, the rest is cut; "
            "%s is the damaged file",
            self.path,
            self.number,
            error,
            kept,
        )
        connection = connect(self.path)
        self.create(connection)
        self.insert(connection, records, bytes.fromhex(self.about["checksum"]))
        self.cut = 1  # at least; how many there were is not known
        return connection

    def append(self, records: Sequence[Record]) -> None:
        """Returns once all records are on the disk; all or none are kept.

        Raises:
            JournalError: the disk is full, or the file cannot be written; none is kept.
        """
        self.checksum = self.insert(self.connection, records, self.checksum)
        if records:
            self.number = records[-1].number

    def insert(
        self, connection: sqlite3.Connection, records: Sequence[Record], checksum: bytes
    ) -> bytes:
        """Inserts records after the one of a checksum; returns the last one's."""
        rows: list[tuple[Any, ...]] = []
        for record in records:
            checksum = record.checksum(checksum)
            rows.append((record.number, record.key, record.payload, checksum))
        keys = [(r.key, r.number, r.digest) for r in records if r.key is not None]
        with transaction(connection, self.path, "written"):
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
            connection.executemany("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", keys)
        return checksum

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
            JournalError: nothing is forgotten.
        """
        with transaction(self.connection, self.path, "truncated"):
            row = self.connection.execute(
                "SELECT checksum FROM records WHERE number = ?", (number,)
            ).fetchone()
            checksum = self.about["checksum"] if row is None else row[0].hex()
            changed = {"snapshot": snapshot, "number": str(number), "checksum": checksum}
            self.connection.executemany(
                "UPDATE about SET value = ? WHERE name = ?",
                [(value, name) for name, value in changed.items()],
            )
            self.connection.execute("DELETE FROM records WHERE number <= ?", (number,))
            self.connection.execute(
                "DELETE FROM keys WHERE number <="
                " (SELECT number FROM keys ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (KEYS_KEPT,),
            )
        self.about |= changed

    def close(self) -> None:
        self.connection.close()
