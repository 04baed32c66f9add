"""Copies a log's file while others read and write it."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from understudy.graph.errors import JournalDamagedError
from understudy.graph.log.about import About, parse_about
from understudy.graph.log.files import BUSY_SECONDS, opening, reading_files
from understudy.graph.log.followers import Followers
from understudy.graph.log.opening import ALL_RECORDS, next_record


@contextmanager
def kept_whole(path: Path) -> Iterator[None]:
    """Prevents truncation of the log, and removal of its snapshot, while the block runs.

    To the others, this process appears as one that has applied nothing yet.

    Raises:
        JournalError: the folder cannot be written.
    """
    with reading_files(path):
        followers = Followers(path)
    try:
        with reading_files(path), followers.turn():
            followers.join()
        yield
    finally:
        followers.leave()


def copy_log(path: Path, copy: Path) -> tuple[About, int]:
    """Copies the file as of one moment, and verifies every record of the copy.

    Args:
        copy: a path that does not exist.

    Returns:
        The description of the log, and the number of the last record.

    Raises:
        JournalDamagedError: a record is not what was written, or is missing.
        JournalError: it is no log, or cannot be read.
        OSError: there is no room for the copy.
    """
    with (
        opening(path, "copied"),
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", BUSY_SECONDS, uri=True)) as a,
        closing(sqlite3.connect(copy, isolation_level=None)) as b,
    ):
        with into(copy):
            a.backup(b)
        b.execute("PRAGMA journal_mode = DELETE")  # a single file
        about = parse_about(dict(b.execute("SELECT name, value FROM about")), path)
        return about, last_of(b, about, path)


@contextmanager
def into(copy: Path) -> Iterator[None]:
    """Attributes a full disk to the copy, the only file that is written.

    Raises:
        OSError: it is full.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(copy)) from error


def last_of(connection: sqlite3.Connection, about: About, path: Path) -> int:
    """The number of the last record, if all are what was written."""
    number, checksum = about.number, about.checksum
    for row in connection.execute(ALL_RECORDS):
        following = next_record(row, number, checksum)
        if following is None:
            break
        number, checksum = following[0].number, following[1]
    rows = connection.execute("SELECT count(*) FROM records").fetchone()[0]
    whole = about.last is None or (number, checksum) == (about.last, about.last_checksum)
    if not whole or rows != number - about.number:
        raise JournalDamagedError(
            f"{path} is damaged after record {number}, and damaged logs are not copied; start a "
            "single service on it, which keeps the good records and reports what it removed"
        )
    return number
