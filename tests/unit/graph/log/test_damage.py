"""A damaged journal is noticed, cut at the first damage, and reported in a line."""

import logging
import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.graph.log.logs import BUNDLE, damage, found, keys_of, opened, records
from understudy.graph.errors import (
    JournalDamagedError,
    JournalError,
)
from understudy.graph.log.protocol import Record
from understudy.graph.log.sqlite import SqliteLog

NOBODY = 65_534


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET payload = x'00' WHERE number = 12",
        "UPDATE records SET key = 'other' WHERE number = 12",
        "UPDATE records SET key = NULL WHERE number = 12",
        "UPDATE records SET checksum = zeroblob(32) WHERE number = 12",
        "UPDATE records SET checksum = 'text' WHERE number = 12",
        "UPDATE records SET payload = 'text' WHERE number = 12",
        "UPDATE records SET key = CAST(x'ff' AS TEXT) WHERE number = 12",
        "UPDATE records SET number = 40 WHERE number = 12",
        "DELETE FROM records WHERE number = 12",
    ],
)
def test_a_damaged_record_and_all_after_it_are_cut(
    path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(path, statement)
    with caplog.at_level(logging.ERROR), closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(11)
        assert journal.cut > 0
        assert "after record 11" in caplog.text
        assert keys_of(journal).find("key-12") is None
        journal.append(records(1, first=12))
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(12)


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    """A file with one changed byte gives a true beginning of the records, or an error."""
    path = tmp_path / "journal.sqlite"
    with closing(opened(path)) as journal:
        journal.append(records(12, size=700))
    whole = path.read_bytes()
    for position in range(0, len(whole), 197):
        for leftover in tmp_path.iterdir():
            leftover.unlink()
        changed = bytearray(whole)
        changed[position] ^= 0x5A
        path.write_bytes(changed)
        try:
            with closing(SqliteLog(path, BUNDLE)) as journal:
                kept = found(journal)
        except JournalError:
            continue
        assert kept == records(12, size=700)[: len(kept)]


def test_a_file_that_ends_early_gives_what_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(opened(path)) as journal:
        journal.append(records(200, size=2_000))
    size = path.stat().st_size
    os.truncate(path, size // 4096 // 2 * 4096)
    with caplog.at_level(logging.ERROR), closing(SqliteLog(path, BUNDLE)) as journal:
        kept = found(journal)
        assert kept == records(200, size=2_000)[: len(kept)]
        assert len(kept) < 200
        assert journal.cut
        assert "is cut" in caplog.text
        journal.append(records(1, first=len(kept) + 1))
    assert path.with_name("journal.sqlite.damaged").exists()


def test_a_killed_process_leaves_an_unfinished_write(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The write-ahead log ends in the middle of a transaction: that one is dropped, and said."""
    path, copy = tmp_path / "journal.sqlite", tmp_path / "copy.sqlite"
    with closing(opened(path)) as journal:
        for number in range(1, 11):
            journal.append(records(1, first=number, size=20_000))
        copy.write_bytes(path.read_bytes())
        log = path.with_name("journal.sqlite-wal").read_bytes()
    copy.with_name("copy.sqlite-wal").write_bytes(log[:-10_000])
    with caplog.at_level(logging.WARNING), closing(SqliteLog(copy, BUNDLE)) as journal:
        assert found(journal) == records(9, size=20_000)
        assert "unfinished write" in caplog.text


def test_a_file_of_which_nothing_is_left_stays_where_it_is(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8_092)
    with pytest.raises(JournalDamagedError, match="beside it away"):
        SqliteLog(path, BUNDLE)
    assert path.exists()


def test_an_empty_file_stays_where_it_is(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(JournalDamagedError, match="is empty; replace it"):
        SqliteLog(path, BUNDLE)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("trace", ["journal.sqlite-wal", "journal.sqlite.damaged"])
def test_a_journal_that_left_traces_is_not_begun_anew(tmp_path: Path, trace: str) -> None:
    (tmp_path / trace).write_bytes(b"what is left")
    with pytest.raises(JournalDamagedError, match=f"missing, although {trace} is there"):
        SqliteLog(tmp_path / "journal.sqlite", BUNDLE)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(trace, b"what is left")]


def test_a_second_damaged_file_is_kept_beside_the_first(path: Path) -> None:
    whole = path.read_bytes()
    for expected in (["damaged"], ["damaged", "damaged2"]):
        path.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
        with closing(SqliteLog(path, BUNDLE)) as journal:
            found(journal)
        suffixes = sorted(p.suffix.removeprefix(".") for p in path.parent.glob("*.damaged*"))
        assert suffixes == expected


def test_the_keys_from_before_a_snapshot_outlive_a_damaged_file(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.append(records(150, first=21, size=2_000))
        journal.truncate(20, "snapshot-20", keys_of(journal))
        root = journal.connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'records'"
        ).fetchone()[0]
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with closing(opened(path)) as journal:
        assert keys_of(journal).find("key-3") is not None
        assert keys_of(journal).find("key-30") is None
        assert (journal.start, journal.number) == (20, 20)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_last_records_that_are_gone_are_noticed_once(
    path: Path, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    damage(path, f"DELETE FROM records WHERE number > {20 - count}")
    with caplog.at_level(logging.ERROR), closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(20 - count)
        assert f"after record {20 - count}" in caplog.text
        assert f"{count} that were acknowledged" in caplog.text
        assert keys_of(journal).find("key-20") is None  # or a retry would not be applied
        assert (keys_of(journal).find("key-1") is None) == (count == 20)
    caplog.clear()
    with caplog.at_level(logging.ERROR), closing(opened(path)) as journal:
        assert journal.number == 20 - count
        assert not caplog.text


def test_a_last_record_with_a_true_checksum_that_was_never_written_is_cut(path: Path) -> None:
    with closing(opened(path)) as journal:
        forged = Record(20, "key-20", b"forged")
        checksum = journal.connection.execute(
            "SELECT checksum FROM records WHERE number = 19"
        ).fetchone()[0]
        journal.connection.execute(
            "UPDATE records SET payload = ?, checksum = ? WHERE number = 20",
            (forged.payload, forged.checksum(checksum)),
        )
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(19)
        assert journal.cut == 1


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO keys VALUES ('never', 15, zeroblob(32))",
        "INSERT INTO keys VALUES ('key-17', 15, zeroblob(32))",
        "INSERT INTO keys VALUES ('key-17', 30, zeroblob(32))",
    ],
)
def test_keys_are_those_of_the_records(path: Path, statement: str) -> None:
    with closing(opened(path)) as journal:
        journal.truncate(10, "snapshot-10", keys_of(journal))
    damage(path, statement)
    with closing(opened(path)) as journal:
        keys = keys_of(journal)
        assert keys.find("never") is None
        for number in (7, 17):
            known = keys.find(f"key-{number}")
            assert known is not None
            assert (known.number, known.digest) == (number, records(20)[number - 1].digest)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", "'x'"),
        ("number", "'-1'"),
        ("number", "''"),
        ("number", "x'30'"),
        ("last", "'1e3'"),
        ("checksum", "'zz'"),
        ("checksum", "'00'"),
        ("last_checksum", "'00'"),
        ("snapshot", "'../elsewhere'"),
        ("format", None),
        ("bundle", None),
        ("lineage", None),
        ("number", None),
        ("checksum", None),
        ("last", None),
        ("last_checksum", None),
    ],
)
def test_damage_in_what_it_is_about_is_one_line(path: Path, name: str, value: str | None) -> None:
    if value is None:
        damage(path, f"DELETE FROM about WHERE name = '{name}'")
    else:
        damage(path, f"UPDATE about SET value = {value} WHERE name = '{name}'")
    before = path.read_bytes()
    with pytest.raises(JournalDamagedError, match=f"'{name}' in its table `about`") as caught:
        SqliteLog(path, BUNDLE)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", ["about", "records", "keys", "cut"])
def test_a_table_that_is_gone_is_one_line(path: Path, table: str) -> None:
    damage(path, f"DROP TABLE {table}")
    if table == "about":
        with pytest.raises(JournalDamagedError, match="no table 'about'"):
            SqliteLog(path, BUNDLE)
        return
    with closing(opened(path)) as journal:  # what can be read goes into a new file
        assert journal.number == (0 if table == "records" else 20)
        assert journal.cut
    assert path.with_name("journal.sqlite.damaged").exists()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE records SET payload = x'00' WHERE number = 12", "DROP TABLE keys"],
)
def test_what_others_have_open_is_not_repaired(path: Path, statement: str) -> None:
    """They would go on writing into a file, or after a record, that nobody reads any more."""
    with closing(opened(path)) as journal:
        damage(path, statement)
        with pytest.raises(JournalDamagedError, match="start a single one"):
            opened(path)
        assert not list(path.parent.glob("*.damaged*"))
        journal.append(records(1, first=21))
    with closing(opened(path)) as journal:
        assert journal.cut
        assert found(journal)[:11] == records(11)


def test_a_record_beyond_the_last_is_not_set_aside_while_others_have_the_log_open(
    path: Path,
) -> None:
    with closing(opened(path)):
        damage(
            path,
            "INSERT INTO records (number, key, payload, checksum)"
            " SELECT 40, key, payload, checksum FROM records WHERE number = 12",
        )
        with pytest.raises(JournalDamagedError, match="start a single one"):
            opened(path)
    with closing(opened(path)) as journal:
        assert journal.cut
        assert found(journal) == records(20)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM about WHERE name = 'last'",
        "UPDATE about SET value = 'x' WHERE name = 'last'",
        "UPDATE about SET value = 'zz' WHERE name = 'last_checksum'",
    ],
)
def test_a_last_record_that_is_named_no_more_takes_no_other(path: Path, statement: str) -> None:
    with closing(opened(path)) as journal:
        damage(path, statement)
        for add in (journal.append, journal.push):
            with pytest.raises(JournalDamagedError, match="does not name its last record"):
                add(records(1, first=21))
        assert found(journal) == records(20)


def test_a_record_that_is_changed_while_it_is_followed_is_noticed(path: Path) -> None:
    with closing(opened(path)) as writer, closing(opened(path)) as follower:
        writer.append(records(2, first=21))
        damage(path, "UPDATE records SET payload = x'00' WHERE number = 22")
        with pytest.raises(JournalDamagedError, match="after record 21"):
            follower.read(20)
