"""Logs for the tests of this room."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from understudy.graph.log.keys import KeyedBatch, Keys
from understudy.graph.log.protocol import Log, Record, pieces
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.log.streams.log import RedisLog

BUNDLE = "0123456789abcdef"
Open = Callable[..., RedisLog]
redis_and_valkey = pytest.mark.parametrize(
    "redis", ["running_redis", "running_valkey"], indirect=True
)


def records(count: int, first: int = 1, size: int = 20) -> list[Record]:
    return [Record(number, f"key-{number}", b"x" * size) for number in range(first, first + count)]


def opened(path: Path) -> SqliteLog:
    return SqliteLog(path, BUNDLE, BUNDLE)


def found(log: Log) -> list[Record]:
    """All records that it holds."""
    return [record for some in pieces(log, log.start) for record in some]


def read_little(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Has logs read no more bytes than that at a time, or one record."""
    for name in ("protocol", "sqlite", "streams.log"):
        monkeypatch.setattr(f"understudy.graph.log.{name}.READ_BYTES", size)


def keys_of(log: Log) -> Keys:
    """The keys as of its last record, all of which are good."""
    keys = log.keys()
    for record in found(log):
        if record.key is not None:
            keys.add(record.key, KeyedBatch(record.number, record.digest))
    return keys


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
