"""A shared log: one order, nothing lost, and nothing deleted that a process needs."""

import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

import pytest

from tests.unit.graph.log.logs import (
    BUNDLE,
    damage,
    found,
    keys_of,
    opened,
    read_little,
    records,
)
from understudy.graph.errors import JournalError, LogHeldError, LogMovedError
from understudy.graph.log.memory import SharedMemoryLog, SharedRecords
from understudy.graph.log.opening import check_no_traces
from understudy.graph.log.protocol import Log, Record, pieces, pushed
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.log.streams.log import RedisLog
from understudy.graph.log.streams.options import RedisLogOptions

Holder = Callable[[], Log]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def hold(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Holder]:
    """Gives further holders of one log; they are closed in the end."""
    book = SharedRecords()
    holders: list[Log] = []
    if request.param == "redis":
        options = RedisLogOptions(request.getfixturevalue("redis").url, records_kept=0)

    def holder() -> Log:
        log: Log
        if request.param == "redis":
            log = RedisLog(options, BUNDLE, tmp_path / "log")
        elif request.param == "sqlite":
            log = SqliteLog(tmp_path / "log", BUNDLE)
        else:
            log = SharedMemoryLog(book)
        holders.append(log)
        return log

    yield holder
    for log in holders:
        log.close()


def test_what_one_appends_the_others_read(hold: Holder) -> None:
    one, other = hold(), hold()
    one.append(records(3))
    assert other.read(0) == records(3)
    assert other.read(3) == []
    other.append(records(2, first=4))
    assert one.read(3) == records(2, first=4)
    assert hold().read(0) == records(5)


def test_a_long_log_is_read_piece_by_piece(hold: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    read_little(monkeypatch, 100)
    one, other = hold(), hold()
    one.append(records(40, size=60))
    read = list(pieces(other, 0))
    assert [record for some in read for record in some] == records(40, size=60)
    assert len(read) > 1 or isinstance(other, SharedMemoryLog)  # which holds all in any case
    other.append(records(1, first=41))
    assert one.read(40) == records(1, first=41)


def test_who_has_not_read_all_does_not_append(hold: Holder) -> None:
    one, other = hold(), hold()
    one.append(records(1))
    with pytest.raises(LogMovedError):
        other.append(records(1, first=other.number + 1))
    assert other.read(0) == records(1)
    other.append(records(1, first=2))
    assert one.read(1) == records(1, first=2)


def test_what_is_pushed_comes_last_and_is_to_be_decided(hold: Holder) -> None:
    one, other = hold(), hold()
    one.append(records(3))
    assert other.push([Record(1, "mine", b"a"), Record(2, None, b"b")]) == 4
    expected = [Record(4, "mine", b"a", True), Record(5, None, b"b", True)]
    assert one.read(3) == expected
    assert other.read(0) == [*records(3), *expected]
    assert hold().read(4) == expected[1:]


def test_news_ends_the_waiting(hold: Holder) -> None:
    one, other = hold(), hold()
    waiter = Thread(target=other.wait, args=(600,))
    waiter.start()
    one.append(records(1))
    waiter.join(60)
    assert not waiter.is_alive()
    assert other.read(0) == records(1)


@pytest.mark.parametrize("end", ["wake", "close"])
def test_the_waiting_can_be_ended(hold: Holder, end: str) -> None:
    log = hold()
    waiter = Thread(target=log.wait, args=(600,))
    waiter.start()
    getattr(log, end)()
    waiter.join(60)
    assert not waiter.is_alive()
    assert log.wait(0) == (end == "wake")


def test_nothing_is_forgotten_that_a_follower_needs(hold: Holder) -> None:
    one, other = hold(), hold()
    one.append(records(5))
    with pytest.raises(LogHeldError):
        one.truncate(4, "snapshot-4", keys_of(one))
    other.read(0)
    other.applied(4)
    one.truncate(4, "snapshot-4", keys_of(one))
    assert (one.start, one.snapshot) == (4, "snapshot-4")
    assert other.start == 0
    other.refresh()
    assert (other.start, other.snapshot) == (4, "snapshot-4")
    other.append(records(1, first=6))
    late = hold()
    assert late.start == 4
    assert found(late) == records(2, first=5)
    assert late.keys().find("key-3") is not None
    with pytest.raises(JournalError):
        late.read(2)


def test_who_has_left_holds_nothing(hold: Holder) -> None:
    one, other = hold(), hold()
    one.append(records(5))
    other.close()
    one.truncate(5, "snapshot-5", keys_of(one))
    assert one.start == 5


def test_one_at_a_time_sees_to_the_snapshots(hold: Holder) -> None:
    one, other = hold(), hold()
    with one.keeping() as first:
        assert first
        with other.keeping() as second:
            assert not second
    with other.keeping() as again:
        assert again


def test_a_log_that_another_process_begins_meanwhile_is_not_damaged(path: Path) -> None:
    """The file was looked for before, and the other one's write-ahead log is found after."""
    with closing(opened(path)) as other:
        other.append(records(1, first=other.number + 1))
        assert path.with_name(f"{path.name}-wal").exists()
        check_no_traces(path)


def test_a_tentative_record_has_a_checksum_of_its_own(path: Path) -> None:
    with closing(opened(path)) as log:
        log.push([Record(0, None, b"a")])
    damage(path, "UPDATE records SET tentative = 0 WHERE number = 21")
    with closing(opened(path)) as log:
        assert log.number == 20
    assert pushed([Record(0, None, b"a")], 20)[0].checksum(b"") != Record(21, None, b"a").checksum(
        b""
    )


FIRST_FORMAT = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    number INTEGER PRIMARY KEY, key TEXT, payload BLOB NOT NULL, checksum BLOB NOT NULL
);
CREATE TABLE keys (
    key TEXT PRIMARY KEY, number INTEGER NOT NULL, digest BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_by_number ON keys (number);
CREATE TABLE cut (number INTEGER, key TEXT, payload BLOB, checksum BLOB);
PRAGMA application_id = 0x55534A4C;
"""


def first_format(path: Path) -> None:
    """A file as the releases before wrote it: from record 10 on, twenty records."""
    before = Record(10, "key-10", b"older")
    checksum = start = before.checksum(bytes(32))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST_FORMAT)
        connection.execute("INSERT INTO keys VALUES (?, ?, ?)", ("key-10", 10, before.digest))
        for record in records(20, first=11):
            checksum = record.checksum(checksum)
            row = (record.number, record.key, record.payload, checksum)
            connection.execute("INSERT INTO records VALUES (?, ?, ?, ?)", row)
            key = (record.key, record.number, record.digest)
            connection.execute("INSERT INTO keys VALUES (?, ?, ?)", key)
        about = {"format": "1", "bundle": BUNDLE, "snapshot": "snapshot-10", "number": "10"}
        about |= {"checksum": start.hex(), "last": "30", "last_checksum": checksum.hex()}
        connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        connection.commit()


def test_a_file_of_the_first_format_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first_format(path)
    for _ in range(2):
        with closing(opened(path)) as log:
            assert (log.start, log.snapshot, log.cut) == (10, "snapshot-10", 0)
            assert found(log)[:20] == records(20, first=11)
            assert [keys_of(log).find(f"key-{n}") is None for n in (9, 10, 30)] == [1, 0, 0]
            log.push([Record(0, None, b"more")])
    with closing(opened(path)) as log:
        assert [record.tentative for record in found(log)] == [False] * 20 + [True] * 2


def test_damage_in_a_file_of_the_first_format_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first_format(path)
    damage(path, "DROP TABLE cut")
    with closing(opened(path)) as log:
        assert found(log) == records(20, first=11)
        assert keys_of(log).find("key-10") is not None
        log.append(records(1, first=31))


def append_and_wait(path: Path, number: int, reports: Connection) -> None:
    """Keeps pushing until it is killed; reports every number that it was given."""
    log = SqliteLog(path, BUNDLE)
    for count in range(1_000_000):
        key = f"{number}-{count}"
        reports.send((log.push([Record(0, key, key.encode())]), key))


@contextmanager
def processes(path: Path, count: int) -> Iterator[list[Connection]]:
    """Some that push, killed at the end of the block."""
    context = multiprocessing.get_context("forkserver")
    pairs = [context.Pipe(duplex=False) for _ in range(count)]
    children = [
        context.Process(target=append_and_wait, args=(path, number, pair[1]), daemon=True)
        for number, pair in enumerate(pairs)
    ]
    for child, pair in zip(children, pairs, strict=True):
        child.start()
        pair[1].close()
    try:
        yield [pair[0] for pair in pairs]
    finally:
        for child in children:
            child.kill()
            child.join()


def test_processes_that_are_killed_leave_all_that_they_were_told_is_kept(path: Path) -> None:
    kept: dict[int, str] = {}
    with closing(opened(path)) as log:
        with processes(path, 3) as reports:
            for _ in range(60):
                for report in reports:
                    assert report.poll(120)
                    number, key = report.recv()
                    assert kept.setdefault(number, key) == key
            with pytest.raises(LogHeldError):
                log.truncate(20, "snapshot-20", keys_of(log))
        last = log.read(0)[-1].number
        log.applied(last)
        log.truncate(20, "snapshot-20", keys_of(log))  # the dead hold nothing
        entries = {record.number: record.key for record in log.read(20)}
    assert list(entries) == list(range(21, last + 1))
    assert entries.items() >= kept.items()
    names = sorted(entry.removeprefix(path.name) for entry in os.listdir(path.parent))  # noqa: PTH208
    assert names == ["", ".lock"]
