"""Journals for the tests of this room."""

import sqlite3
from contextlib import closing
from pathlib import Path

from understudy.graph.journal import Record
from understudy.graph.sqlite_journal import SqliteJournal

BUNDLE = "0123456789abcdef"


def records(count: int, first: int = 1, size: int = 20) -> list[Record]:
    return [Record(number, f"key-{number}", b"x" * size) for number in range(first, first + count)]


def opened(path: Path) -> SqliteJournal:
    journal = SqliteJournal(path, BUNDLE)
    journal.recover()
    return journal


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
