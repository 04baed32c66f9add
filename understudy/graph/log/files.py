"""A log's files: SQLite's, with its errors converted to ours, and small ones written atomically."""

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from understudy.folders.durable import flush
from understudy.graph.errors import (
    JournalDamagedError,
    JournalError,
    JournalForeignError,
    JournalLockedError,
)

WRITABLE = "the journal's folder must be writable for this user"
SUFFIXES = ("", "-wal", "-shm")  # of the database and the files that SQLite keeps beside it
BUSY_SECONDS = 5.0  # for foreign processes; our own queue for their turn


def connect(path: Path, alone: bool = False) -> sqlite3.Connection:
    """Opens or creates a database, with write-ahead logging and synchronised commits.

    Threads may take turns with the connection.

    Args:
        alone: whether it stays locked until it is closed.

    Raises:
        JournalError: see `opening`.
    """
    with opening(path, "opened"):
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            if alone:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")  # tests that it can be written
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
    return connection


def make_file(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Creates a database atomically, and never over another file.

    If several processes create it at the same moment, one wins and the others find it.

    Raises:
        JournalError: see `opening`; nothing is left of it.
        OSError: it cannot be put in its place.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with closing(connect(temporary, alone=True)) as connection:
            fill(connection)
        with suppress(FileExistsError):
            put_in_place(temporary, path)
        flush(path.parent)
    finally:
        for suffix in SUFFIXES:
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a file, unless the new name is taken."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(path) from None
        temporary.rename(path)


def identities(path: Path) -> list[tuple[int, int] | None]:
    """Device and inode of each of a database's files; None for a missing one."""
    found: list[tuple[int, int] | None] = []
    for suffix in SUFFIXES:
        try:
            stat = path.with_name(path.name + suffix).stat()
            found.append((stat.st_dev, stat.st_ino))
        except FileNotFoundError:
            found.append(None)
    return found


@contextmanager
def reading_files(path: Path) -> Iterator[None]:
    """Converts errors of the file system around a journal to ours.

    Raises:
        JournalError: a file or folder cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        written = error.filename2 if full else None  # if two files are named, this is the copy
        where = written or error.filename or path
        remedy = "make room on its disk" if full else WRITABLE
        if isinstance(error, FileExistsError | NotADirectoryError):
            remedy = "a file is in the way, so choose another place"
        raise JournalError(f"cannot use {where}: {error.strerror or error}; {remedy}") from error


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path, action: str) -> Iterator[None]:
    """Runs all statements of the block as one transaction.

    Args:
        action: what the block does to the file, as a participle for the message: "written".

    Raises:
        JournalError: see `opening`; nothing of the block is kept.
    """
    with opening(path, action):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def opening(path: Path, action: str) -> Iterator[None]:
    """Converts SQLite's errors to ours.

    Args:
        action: see `transaction`.

    Raises:
        JournalLockedError: another process holds the file exclusively.
        JournalForeignError: it is no database.
        JournalDamagedError: it is a damaged one.
        JournalError: it cannot be read or written, or the disk is full.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise JournalLockedError(
                f"another process has locked {path}, such as an older release or an SQLite tool; "
                "stop it"
            ) from error
        if code == sqlite3.SQLITE_NOTADB:
            raise JournalForeignError(f"{path} is not a journal: {error}") from error
        if code == sqlite3.SQLITE_CORRUPT:
            raise JournalDamagedError(f"{path} is damaged: {error}") from error
        raise JournalError(f"{path} cannot be {action}: {error}{advice(code)}") from error


def advice(code: int) -> str:
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return "; make room on its disk; nothing of the change was kept"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return "; its folder must be writable for this user"
    return ""


def put_file(path: Path, content: bytes, durable: bool = True) -> None:
    """Replaces a file atomically.

    Args:
        durable: it is on disk on return; otherwise it survives the process, but no power cut.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        temporary.write_bytes(content)  # does not create the folder: a removed one stays removed
        if durable:
            flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        flush(path.parent)
