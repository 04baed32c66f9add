"""A backup holds one moment of a changing graph, and restores it exactly."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.bundles import TinyBundle, write_tiny_bundle
from tests.unit.engine.changes import assert_exact, ids_of
from understudy.engine import Engine
from understudy.engine.backup import make_backup, restore_backup
from understudy.engine.errors import BackupError, JournalFailedError
from understudy.engine.opening import stored_graph
from understudy.engine.placing import JOURNAL_FILE
from understudy.folders.errors import OutputRefusedError
from understudy.graph.errors import JournalDamagedError
from understudy.graph.log.copying import kept_whole
from understudy.graph.log.streams.base import BASE_FILE
from understudy.graph.mutations import AddEdge, UpsertNode


def change(engine: Engine, name: str) -> None:
    engine.apply([UpsertNode(name, "a fast json parser"), AddEdge(name, "node-1")], f"key-{name}")


@pytest.fixture
def data(tiny_bundle: TinyBundle, tmp_path: Path) -> Path:
    """Of a graph with a snapshot of two changes, and one change after it."""
    with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:
        change(engine, "one")
        change(engine, "two")
        engine.snapshot()
        change(engine, "three")
    return tmp_path / "data"


def test_what_was_there_comes_back_while_the_graph_goes_on(
    tiny_bundle: TinyBundle, data: Path, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        made = make_backup(data, tmp_path / "backup")
        change(engine, "later")
        engine.snapshot()  # nothing is held any more
        assert engine.writer.log.snapshot == "snapshot-4"
    assert (made.graph_version, made.snapshot) == (3, "snapshot-2")
    assert restore_backup(tmp_path / "backup", tmp_path / "restored") == made
    with Engine.open(tiny_bundle.folder, data=tmp_path / "restored") as engine:
        assert engine.state.version == 3
        assert {"one", "two", "three"} <= ids_of(engine)
        assert "later" not in ids_of(engine)
        assert_exact(engine, tiny_bundle)
        again = engine.apply(
            [UpsertNode("one", "a fast json parser"), AddEdge("one", "node-1")], "key-one"
        )
        assert again.repeated
        change(engine, "another")


def test_a_log_without_a_snapshot_and_an_older_backup(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    for version in (1, 2):
        with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:
            change(engine, f"node-of-{version}")
        made = make_backup(tmp_path / "data", tmp_path / "backup")
        assert (made.graph_version, made.snapshot) == (version, "snapshot-0")
    restore_backup(tmp_path / "backup", tmp_path / "restored")
    # A bundle of a later graph starts on it, and the one that it began with is not needed.
    graph = stored_graph(tmp_path / "restored", None)
    later = write_tiny_bundle(tmp_path / "later", graph=graph)
    with Engine.open(later.folder, data=tmp_path / "restored") as engine:
        assert {"node-of-1", "node-of-2"} <= ids_of(engine)


def test_a_folder_of_an_older_release_needs_its_bundle(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:
        change(engine, "one")
    shutil.rmtree(tmp_path / "data" / "snapshot-0")
    made = make_backup(tmp_path / "data", tmp_path / "backup")
    assert (made.graph_version, made.snapshot) == (1, "")
    restore_backup(tmp_path / "backup", tmp_path / "restored")
    with Engine.open(tiny_bundle.folder, data=tmp_path / "restored") as engine:
        assert "one" in ids_of(engine)


@pytest.mark.parametrize(("place", "words"), [("", "is a bundle"), ("a/b", "is inside .*bundle")])
def test_no_backup_is_put_into_a_bundle(
    tiny_bundle: TinyBundle, data: Path, tmp_path: Path, place: str, words: str
) -> None:
    make_backup(data, tmp_path / "backup")
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, bundle)
    before = sorted(bundle.rglob("*"))
    with pytest.raises(BackupError, match=words):
        restore_backup(tmp_path / "backup", bundle / place)
    assert sorted(bundle.rglob("*")) == before


def test_a_backup_is_left_as_it_is(tiny_bundle: TinyBundle, data: Path, tmp_path: Path) -> None:
    """Opening its log would change the file, and it could not be restored any more."""
    backup, restored = tmp_path / "backup", tmp_path / "restored"
    make_backup(data, backup)
    advice = re.escape(f"`understudy restore {backup} DATA_FOLDER`")
    with pytest.raises(BackupError, match=advice):
        Engine.open(tiny_bundle.folder, data=backup)
    with pytest.raises(BackupError, match=advice):
        stored_graph(backup, tiny_bundle.folder)
    with pytest.raises(BackupError, match=advice):
        make_backup(backup, tmp_path / "another")
    restore_backup(backup, restored)
    with Engine.open(tiny_bundle.folder, data=restored) as engine:
        assert "three" in ids_of(engine)


def test_no_backup_is_made_of_an_address(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"http://127.0.0.1:8000 is a URL"):
        make_backup(Path("http://127.0.0.1:8000"), tmp_path / "backup")


def test_no_backup_is_put_into_a_data_folder_in_use(data: Path, tmp_path: Path) -> None:
    make_backup(data, tmp_path / "backup")
    with pytest.raises(BackupError, match=f"is inside {data}, which is another data folder"):
        restore_backup(tmp_path / "backup", data / "inner")
    around = tmp_path / "around"
    around.mkdir()
    shutil.copytree(data, around / "data")
    with pytest.raises(BackupError, match=f"contains {around / 'data'}, which is another"):
        restore_backup(tmp_path / "backup", around)
    replica = tmp_path / "replica"
    replica.mkdir()
    (replica / BASE_FILE).write_text("{}")
    with pytest.raises(BackupError, match=r"belongs to a log in Redis \(redis-log\.json\)"):
        restore_backup(tmp_path / "backup", replica)
    with pytest.raises(BackupError, match="back up that Redis"):
        make_backup(replica, tmp_path / "another")
    assert sorted(replica.glob("[!.]*.json")) == [replica / BASE_FILE]


def test_nothing_is_forgotten_while_it_is_copied(tiny_bundle: TinyBundle, data: Path) -> None:
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        with kept_whole(data / JOURNAL_FILE):
            change(engine, "meanwhile")
            with pytest.raises(JournalFailedError, match="another process"):
                engine.snapshot()
            assert (data / "snapshot-2").is_dir()
        engine.snapshot()
        assert not (data / "snapshot-2").exists()
    assert not list(data.glob("*.at-*"))


def test_a_damaged_log_is_not_copied(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / JOURNAL_FILE)) as connection:
        connection.execute("UPDATE records SET payload = payload || '!'")
        connection.commit()
    with pytest.raises(JournalDamagedError, match="after record 2"):
        make_backup(data, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def damaged_table(backup: Path) -> None:
    (backup / "snapshot-2" / "activations" / "h0.npy").write_bytes(b"x")


def damaged_log(backup: Path) -> None:
    os.truncate(backup / JOURNAL_FILE, 4_096)


def missing_folder(backup: Path) -> None:
    shutil.rmtree(backup / "snapshot-2")


def missing_log(backup: Path) -> None:
    (backup / JOURNAL_FILE).unlink()


def missing_file(backup: Path) -> None:
    (backup / "snapshot-2" / "graph" / "indptr.npy").unlink()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (damaged_table, "snapshot-2/activations/h0.npy is not the file"),
        (damaged_log, "journal.sqlite is not the file"),
        (missing_file, "snapshot-2/graph/indptr.npy is missing"),
        (missing_folder, "snapshot-2/activations/h0.npy is missing"),
        (missing_log, "journal.sqlite is missing"),
    ],
)
def test_a_damaged_backup_brings_no_log(
    data: Path, tmp_path: Path, damage: Callable[[Path], None], named: str
) -> None:
    backup = tmp_path / "backup"
    make_backup(data, backup)
    damage(backup)
    with pytest.raises(BackupError, match=f"is damaged: {named}"):
        restore_backup(backup, tmp_path / "restored")
    assert not (tmp_path / "restored" / JOURNAL_FILE).exists()


def test_an_interrupted_restore_goes_on(
    tiny_bundle: TinyBundle, data: Path, tmp_path: Path
) -> None:
    made, restored = make_backup(data, tmp_path / "backup"), tmp_path / "restored"
    restore_backup(tmp_path / "backup", restored)
    (restored / JOURNAL_FILE).unlink()
    (restored / made.snapshot / "activations" / "h0.npy").unlink()
    restore_backup(tmp_path / "backup", restored)
    with Engine.open(tiny_bundle.folder, data=restored) as engine:
        assert engine.state.version == 3


def test_no_changes_are_written_over(data: Path, tmp_path: Path) -> None:
    make_backup(data, tmp_path / "backup")
    with pytest.raises(BackupError, match="already holds changes"):
        restore_backup(tmp_path / "backup", data)
    (data / JOURNAL_FILE).rename(tmp_path / "away")
    (data / "snapshot-2").rename(data / "snapshot-7")
    with pytest.raises(BackupError, match="snapshot-7"):
        restore_backup(tmp_path / "backup", data)


def test_what_is_no_data_folder_and_no_backup_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="--data-folder"):
        make_backup(tmp_path / "nothing", tmp_path / "backup")
    with pytest.raises(BackupError, match=r"backup\.json"):
        restore_backup(data, tmp_path / "restored")
    with pytest.raises(OutputRefusedError, match="is inside the input"):
        make_backup(data, data / "backup")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(OutputRefusedError, match=r"cat\.jpg"):
        make_backup(data, tmp_path / "photos")
