"""The journal: kept or refused as a whole, and never replayed once it is damaged."""

import logging
import multiprocessing
import os
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph.errors import (
    JournalDamagedError,
    JournalError,
    JournalForeignError,
    JournalLockedError,
)
from understudy.graph.journal import KEYS_KEPT, Journal, MemoryJournal, Record
from understudy.graph.mutations import (
    AddEdge,
    DeleteNode,
    RemoveEdge,
    UpsertNode,
    decode_mutations,
    encode_mutations,
)
from understudy.graph.sqlite_journal import SqliteJournal

BUNDLE = "0123456789abcdef"
NOBODY = 65_534


def records(count: int, first: int = 1, size: int = 20) -> list[Record]:
    return [Record(number, f"key-{number}", b"x" * size) for number in range(first, first + count)]


def opened(path: Path) -> SqliteJournal:
    journal = SqliteJournal(path, BUNDLE)
    journal.recover()
    return journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a journal with twenty records."""
    path = tmp_path / "journal.sqlite"
    with closing(opened(path)) as journal:
        journal.append(records(20))
    return path


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


words = st.text(min_size=1)
mutations = st.one_of(
    st.builds(UpsertNode, words, st.none() | words, st.none() | words),
    st.builds(DeleteNode, words),
    st.builds(AddEdge, words, words),
    st.builds(RemoveEdge, words, words),
)


@given(st.lists(mutations).map(tuple))
def test_mutations_survive_the_way_through_json(batch: tuple[object, ...]) -> None:
    assert decode_mutations(encode_mutations(batch)) == batch  # type: ignore[arg-type]


WRITTEN = (
    rb'[{"kind":"upsert_node","id":"\u00e9","text":"\ud83d\udd78 \"web\" \u0000\ud800/",'
    rb'"label":null},{"kind":"upsert_node","id":"b","text":null,"label":"net"},'
    rb'{"kind":"delete_node","id":" a\n"},{"kind":"add_edge","source":"b","target":"c"},'
    rb'{"kind":"remove_edge","source":"c","target":"b"}]'
)


def test_the_bytes_in_a_journal_stay_as_every_release_wrote_them() -> None:
    """They are replayed, and a repeated idempotency key is recognised by their digest."""
    batch = (
        UpsertNode("é", '\U0001f578 "web" \x00\ud800/'),
        UpsertNode("b", label="net"),
        DeleteNode(" a\n"),
        AddEdge("b", "c"),
        RemoveEdge("c", "b"),
    )
    assert decode_mutations(WRITTEN) == batch
    assert encode_mutations(batch) == WRITTEN


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{}", b"[1]", b'[{"kind": "explode"}]', b'[{"id": "a"}]'),
        *(b'[{"kind": "delete_node"}]', b'[{"kind": "delete_node", "id": 7}]'),
        b'[{"kind": "delete_node", "id": "a", "more": 1}]',
    ],
)
def test_something_else_is_no_batch(data: bytes) -> None:
    with pytest.raises(JournalDamagedError):
        decode_mutations(data)


@pytest.mark.parametrize("make", [MemoryJournal, None])
def test_keys_are_found(make: Callable[[], Journal] | None, tmp_path: Path) -> None:
    journal = make() if make else opened(tmp_path / "journal.sqlite")
    journal.append([Record(1, None, b"a"), Record(2, "mine", b"b")])
    known = journal.find("mine")
    assert known is not None
    assert (known.number, known.digest) == (2, Record(9, None, b"b").digest)
    assert journal.find("other") is None
    assert journal.number == 2
    journal.close()


def test_memory_forgets_the_oldest_keys() -> None:
    journal = MemoryJournal()
    journal.append(records(KEYS_KEPT + 1))
    assert journal.find("key-1") is None
    assert journal.find("key-2") is not None


def test_what_was_appended_is_recovered(path: Path) -> None:
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(20)
        journal.append(records(2, first=21))
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(22)


def test_a_group_is_kept_whole_or_not_at_all(path: Path) -> None:
    with closing(opened(path)) as journal:
        with pytest.raises(JournalError):
            journal.append([*records(3, first=21), *records(1)])  # number 1 is taken
        assert journal.number == 20
        journal.append(records(1, first=21))
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(21)


def test_truncation_keeps_the_chain_and_the_keys(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.truncate(15, "snapshot-15")
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert (journal.start, journal.snapshot) == (15, "snapshot-15")
        assert journal.recover() == records(5, first=16)
        assert journal.find("key-3") is not None
        journal.truncate(20, "snapshot-20")
        journal.append(records(1, first=21))
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(1, first=21)


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
    with caplog.at_level(logging.ERROR), closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(11)
        assert journal.cut > 0
        assert "after record 11" in caplog.text
        assert journal.find("key-12") is None
        journal.append(records(1, first=12))
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(12)


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    """A file with one changed byte gives a true beginning of the records, or an error."""
    path = tmp_path / "journal.sqlite"
    with closing(opened(path)) as journal:
        journal.append(records(12, size=700))
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        for leftover in tmp_path.iterdir():
            leftover.unlink()
        changed = bytearray(whole)
        changed[position] ^= 0x5A
        path.write_bytes(changed)
        try:
            with closing(SqliteJournal(path, BUNDLE)) as journal:
                found = journal.recover()
        except JournalError:
            continue
        assert found == records(12, size=700)[: len(found)]


def test_a_file_that_ends_early_gives_what_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(opened(path)) as journal:
        journal.append(records(200, size=2_000))
    size = path.stat().st_size
    os.truncate(path, size // 4096 // 2 * 4096)
    with caplog.at_level(logging.ERROR), closing(SqliteJournal(path, BUNDLE)) as journal:
        found = journal.recover()
        assert found == records(200, size=2_000)[: len(found)]
        assert len(found) < 200
        assert journal.cut
        assert "is cut" in caplog.text
        journal.append(records(1, first=len(found) + 1))
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
    with caplog.at_level(logging.WARNING), closing(SqliteJournal(copy, BUNDLE)) as journal:
        assert journal.recover() == records(9, size=20_000)
        assert "unfinished write" in caplog.text


def test_a_file_of_which_nothing_is_left_stays_where_it_is(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8_092)
    with pytest.raises(JournalDamagedError, match="move it away"):
        SqliteJournal(path, BUNDLE)
    assert path.exists()


def test_an_empty_file_stays_where_it_is(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(JournalDamagedError, match="is empty; put a copy"):
        SqliteJournal(path, BUNDLE)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("trace", ["journal.sqlite-wal", "journal.sqlite.damaged"])
def test_a_journal_that_left_traces_is_not_begun_anew(tmp_path: Path, trace: str) -> None:
    (tmp_path / trace).write_bytes(b"what is left")
    with pytest.raises(JournalDamagedError, match=f"missing, although {trace} lies beside it"):
        SqliteJournal(tmp_path / "journal.sqlite", BUNDLE)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(trace, b"what is left")]


def test_a_second_damaged_file_is_kept_beside_the_first(path: Path) -> None:
    whole = path.read_bytes()
    for expected in (["damaged"], ["damaged", "damaged2"]):
        path.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
        with closing(SqliteJournal(path, BUNDLE)) as journal:
            journal.recover()
        suffixes = sorted(p.suffix.removeprefix(".") for p in path.parent.glob("*.damaged*"))
        assert suffixes == expected


def test_the_keys_from_before_a_snapshot_outlive_a_damaged_file(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.append(records(150, first=21, size=2_000))
        journal.truncate(20, "snapshot-20")
        root = journal.connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'records'"
        ).fetchone()[0]
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with closing(opened(path)) as journal:
        assert journal.find("key-3") is not None
        assert journal.find("key-30") is None
        assert (journal.start, journal.number) == (20, 20)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_last_records_that_are_gone_are_noticed_once(
    path: Path, count: int, caplog: pytest.LogCaptureFixture
) -> None:
    damage(path, f"DELETE FROM records WHERE number > {20 - count}")
    with caplog.at_level(logging.ERROR), closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(20 - count)
        assert f"after record {20 - count}" in caplog.text
        assert f"{count} that were acknowledged" in caplog.text
        assert journal.find("key-20") is None  # or a retry would not be applied
        assert (journal.find("key-1") is None) == (count == 20)
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
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(19)
        assert journal.cut == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM keys WHERE number = 7",
        "UPDATE keys SET digest = zeroblob(32) WHERE number = 7",
        "UPDATE keys SET number = 21 WHERE number = 7",
        "INSERT INTO keys VALUES ('never', 15, zeroblob(32))",
    ],
)
def test_keys_are_those_of_the_records(
    path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(path, statement)
    with caplog.at_level(logging.ERROR), closing(opened(path)) as journal:
        assert journal.find("never") is None
        known = journal.find("key-7")
        assert known is not None
        assert (known.number, known.digest) == (7, records(7)[-1].digest)
        assert "idempotency keys were damaged" in caplog.text


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
        SqliteJournal(path, BUNDLE)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", ["about", "records", "keys", "cut"])
def test_a_table_that_is_gone_is_one_line(path: Path, table: str) -> None:
    damage(path, f"DROP TABLE {table}")
    if table == "about":
        with pytest.raises(JournalDamagedError, match="no table 'about'"):
            SqliteJournal(path, BUNDLE)
        return
    with closing(opened(path)) as journal:  # what can be read goes into a new file
        assert journal.number == (0 if table == "records" else 20)
        assert journal.cut
    assert path.with_name("journal.sqlite.damaged").exists()


def test_a_file_of_an_older_release_is_read_and_written_on(path: Path) -> None:
    damage(path, "DELETE FROM about WHERE name LIKE 'last%'")
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(20)
        journal.append(records(1, first=21))
    damage(path, "DELETE FROM records WHERE number = 21")
    with closing(opened(path)) as journal:
        assert journal.number == 20


def test_it_begins_after_no_record_that_it_does_not_hold(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.truncate(15, "snapshot-15")
        for number in (0, 14, 21):
            with pytest.raises(JournalError, match=f"cannot begin after {number}"):
                journal.truncate(number, f"snapshot-{number}")
        assert (journal.start, journal.snapshot) == (15, "snapshot-15")
        journal.truncate(15, "snapshot-15")
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(5, first=16)


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    """FULL, without which a power cut takes what was acknowledged; and one process at a time."""
    with closing(opened(path)) as journal:
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal")):
            assert journal.connection.execute(f"PRAGMA {pragma}").fetchone()[0] == value
        assert journal.connection.execute("PRAGMA locking_mode").fetchone()[0] == "exclusive"


def test_another_bundles_journal_is_refused(path: Path) -> None:
    with pytest.raises(JournalForeignError, match="a folder of its own"):
        SqliteJournal(path, "another bundle")
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert journal.recover() == records(20)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("PRAGMA application_id = 7", "no journal of ours"),
        ("UPDATE about SET value = '99' WHERE name = 'format'", "format 99"),
    ],
)
def test_a_foreign_file_is_refused(path: Path, statement: str, words: str) -> None:
    damage(path, statement)
    with pytest.raises(JournalForeignError, match=words):
        SqliteJournal(path, BUNDLE)


def test_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"anything but a database, and longer than its header is" * 100)
    with pytest.raises(JournalForeignError, match="no journal"):
        SqliteJournal(path, BUNDLE)


def test_a_second_process_is_refused(path: Path) -> None:
    with closing(opened(path)) as journal:
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            message = pool.apply(opening_problem, (path,))
        assert "another process has" in message
        journal.append(records(1, first=21))
    assert opening_problem(path) == ""


def opening_problem(path: Path) -> str:
    try:
        SqliteJournal(path, BUNDLE).close()
    except JournalLockedError as error:
        return str(error)
    return ""


def test_a_full_database_refuses_and_goes_on(path: Path) -> None:
    with closing(opened(path)) as journal:
        pages = journal.connection.execute("PRAGMA page_count").fetchone()[0]
        journal.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(JournalError, match="full"):
            journal.append(records(5, first=21, size=10_000))
        journal.connection.execute(f"PRAGMA max_page_count = {pages + 1_000}")
        journal.append(records(5, first=21, size=10_000))
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert len(journal.recover()) == 25


def test_a_disk_that_takes_no_more_refuses_and_loses_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        kept, message = pool.apply(fill_up, (path,))
    assert "make room" in message
    assert kept >= 20
    with closing(SqliteJournal(path, BUNDLE)) as journal:
        assert len(journal.recover()) == kept


def fill_up(path: Path) -> tuple[int, str]:
    """Appends until files may not grow any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    journal = opened(path)
    try:
        while True:
            journal.append(records(5, first=journal.number + 1, size=10_000))
    except JournalError as error:
        return journal.number, str(error)


def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        messages = pool.apply(read_only_problems, (folder,))
    folder.chmod(0o755)
    for message in messages:
        assert "must be writable" in message or "Permission denied" in message


def read_only_problems(folder: Path) -> list[str]:
    if os.geteuid() == 0:  # whom no permission holds back
        os.seteuid(NOBODY)
    messages = []
    for path in (folder / "journal.sqlite", folder / "deeper" / "journal.sqlite"):
        try:
            SqliteJournal(path, BUNDLE)
        except JournalError as error:
            messages.append(str(error))
        else:
            messages.append("it was opened")
    return messages
