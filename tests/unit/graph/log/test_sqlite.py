"""The journal: kept or refused as a whole, and never replayed once damaged."""

import errno
import multiprocessing
import os
import resource
import shutil
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.graph.log.logs import (
    BUNDLE,
    damage,
    found,
    keys_of,
    opened,
    read_little,
    records,
)
from understudy.graph.errors import (
    JournalDamagedError,
    JournalError,
    JournalForeignError,
    JournalLockedError,
)
from understudy.graph.log.files import SUFFIXES, connect, reading_files
from understudy.graph.log.protocol import Record, pieces
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.mutations import (
    AddEdge,
    DeleteNode,
    RemoveEdge,
    UpsertNode,
    decode_mutations,
    encode_mutations,
)

NOBODY = 65_534


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


def test_keys_are_found(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal.sqlite")
    journal.append([Record(1, None, b"a"), Record(2, "mine", b"b")])
    known = keys_of(journal).find("mine")
    assert known is not None
    assert (known.number, known.digest) == (2, Record(9, None, b"b").digest)
    assert keys_of(journal).find("other") is None
    assert journal.number == 2
    journal.close()


def test_what_was_appended_is_recovered(path: Path) -> None:
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(20)
        journal.append(records(2, first=21))
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(22)


def test_a_group_is_kept_whole_or_not_at_all(path: Path) -> None:
    with closing(opened(path)) as journal:
        with pytest.raises(JournalError):
            journal.append([*records(3, first=21), *records(1)])  # number 1 is taken
        assert journal.number == 20
        journal.append(records(1, first=21))
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(21)


def test_truncation_keeps_the_chain_and_the_keys(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.truncate(15, "snapshot-15", keys_of(journal))
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert (journal.start, journal.snapshot) == (15, "snapshot-15")
        assert found(journal) == records(5, first=16)
        assert keys_of(journal).find("key-3") is not None
        journal.truncate(20, "snapshot-20", keys_of(journal))
        journal.append(records(1, first=21))
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(1, first=21)


def test_a_file_of_an_older_release_is_read_and_written_on(path: Path) -> None:
    damage(path, "DELETE FROM about WHERE name LIKE 'last%'")
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(20)
        journal.append(records(1, first=21))
    damage(path, "DELETE FROM records WHERE number = 21")
    with closing(opened(path)) as journal:
        assert journal.number == 20


def test_it_begins_after_no_record_that_it_does_not_hold(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.truncate(15, "snapshot-15", keys_of(journal))
        for number in (0, 14, 21):
            with pytest.raises(JournalError, match=f"cannot be shortened to start after {number}"):
                journal.truncate(number, f"snapshot-{number}", keys_of(journal))
        assert (journal.start, journal.snapshot) == (15, "snapshot-15")
        journal.truncate(15, "snapshot-15", keys_of(journal))
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(5, first=16)


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    """FULL, without which a power cut takes what was acknowledged."""
    with closing(opened(path)) as journal:
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal")):
            assert journal.connection.execute(f"PRAGMA {pragma}").fetchone()[0] == value


def test_another_graphs_journal_is_refused(path: Path) -> None:
    with pytest.raises(JournalForeignError, match="use a separate data folder"):
        SqliteLog(path, "another graph")
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(20)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("PRAGMA application_id = 7", "not a journal of understudy"),
        ("UPDATE about SET value = '99' WHERE name = 'format'", "format 99"),
    ],
)
def test_a_foreign_file_is_refused(path: Path, statement: str, words: str) -> None:
    damage(path, statement)
    with pytest.raises(JournalForeignError, match=words):
        SqliteLog(path, BUNDLE)


def test_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"anything but a database, and longer than its header is" * 100)
    with pytest.raises(JournalForeignError, match="not a journal"):
        SqliteLog(path, BUNDLE)


def test_a_process_that_wants_the_file_for_itself_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a release does that knew of no others."""
    monkeypatch.setattr("understudy.graph.log.files.BUSY_SECONDS", 0.0)
    with (
        closing(connect(path, alone=True)),
        pytest.raises(JournalLockedError, match=r"another process has locked"),
    ):
        opened(path)
    assert not list(path.parent.glob("*.at-*"))


def test_a_full_database_refuses_and_goes_on(path: Path) -> None:
    with closing(opened(path)) as journal:
        pages = journal.connection.execute("PRAGMA page_count").fetchone()[0]
        journal.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(JournalError, match="full"):
            journal.append(records(5, first=21, size=10_000))
        journal.connection.execute(f"PRAGMA max_page_count = {pages + 1_000}")
        journal.append(records(5, first=21, size=10_000))
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert len(found(journal)) == 25


def test_a_disk_that_takes_no_more_refuses_and_loses_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        kept, message = pool.apply(fill_up, (path,))
    assert "make room" in message
    assert kept >= 20
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert len(found(journal)) == kept


def fill_up(path: Path) -> tuple[int, str]:
    """Appends until files may not grow any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    journal = opened(path)
    try:
        while True:
            journal.append(records(5, first=journal.number + 1, size=10_000))
    except JournalError as error:
        return journal.number, str(error)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_written_to_a_file_that_lies_there_no_more(
    path: Path, suffix: str, replaced: bool
) -> None:
    file = path.with_name(path.name + suffix)
    aside = path.with_name("aside")
    with closing(opened(path)) as journal:
        file.rename(aside)
        if replaced:
            shutil.copyfile(aside, file)
        with pytest.raises(JournalError, match="removed or replaced"):
            journal.append(records(1, first=21))
        with pytest.raises(JournalError, match="removed or replaced"):
            journal.push(records(1, first=21))
        assert journal.number == 20
        aside.replace(file)
        journal.append(records(1, first=21))
    with closing(SqliteLog(path, BUNDLE)) as journal:
        assert found(journal) == records(21)


def test_a_log_larger_than_the_memory_is_opened_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 2**18
    read_little(monkeypatch, 2 * size)
    with closing(opened(tmp_path / "journal.sqlite")) as journal:
        for number in range(1, 33):
            journal.append(records(1, first=number, size=size))
    tracemalloc.start()
    try:
        with closing(opened(tmp_path / "journal.sqlite")) as journal:
            assert sum(map(len, pieces(journal, 0))) == 32
        assert tracemalloc.get_traced_memory()[1] < 10 * size
    finally:
        tracemalloc.stop()


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
            SqliteLog(path, BUNDLE)
        except JournalError as error:
            messages.append(str(error))
        else:
            messages.append("it was opened")
    return messages


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(JournalError, match="a file is in the way"):
        opened(tmp_path / "data" / below / "journal.sqlite")
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot use {}: No space.*; make room"),
        (OSError(errno.EACCES, "Permission denied", "other"), "cannot use other: Permission"),
        (FileExistsError(errno.EEXIST, "File exists"), "cannot use {}: .*choose another place"),
    ],
)
def test_an_error_of_the_file_system_names_a_file_and_a_remedy(
    path: Path, error: OSError, words: str
) -> None:
    with pytest.raises(JournalError, match=words.format(path)), reading_files(path):
        raise error
