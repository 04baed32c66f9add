"""Snapshots: needed or foreign folders are never removed, and debts are saved."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bundles import NODES, TinyBundle
from tests.student_bundles import incremental_of
from tests.unit.engine.changes import assert_exact, ids_of
from understudy.bundle import BundleMissingError, Manifest
from understudy.engine import Engine
from understudy.engine import snapshots as snapshots_module
from understudy.engine.errors import JournalFailedError
from understudy.engine.full_run import compute_tables
from understudy.engine.placing import JOURNAL_FILE
from understudy.engine.snapshots import check_never_begun
from understudy.engine.state import owed_file
from understudy.graph.errors import JournalDamagedError, JournalError
from understudy.graph.log.keys import Keys
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutations import AddEdge, DeleteNode, RemoveEdge, UpsertNode


def add(engine: Engine, first: int, count: int = 1) -> None:
    for number in range(first, first + count):
        name = f"new-{number}"
        engine.apply([UpsertNode(name, f"json {number}"), AddEdge(name, f"node-{number % 9}")])


def folders(data: Path) -> set[str]:
    return {path.name for path in data.iterdir() if path.is_dir()}


def test_snapshots_at_once_leave_what_the_journal_needs(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    stop = Event()
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:

        def keep_writing() -> None:
            while not stop.is_set():
                engine.snapshot()

        writers = [Thread(target=keep_writing) for _ in range(3)]
        for writer in writers:
            writer.start()
        add(engine, 0, 60)
        stop.set()
        for writer in writers:
            writer.join()
        assert folders(tmp_path) == {engine.writer.log.snapshot} - {""}
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.state.version == 60
        assert engine.state.graph.num_nodes == NODES + 60


def test_an_emptied_graph_is_kept_and_filled_again(any_bundle: TinyBundle, tmp_path: Path) -> None:
    """Else the log of a graph whose nodes come and go would grow for ever."""
    everything = [DeleteNode(f"node-{node}") for node in range(NODES)]
    with Engine.open(any_bundle.folder, data=tmp_path) as engine:
        engine.apply(everything, "key")
        engine.snapshot()
        assert engine.writer.log.snapshot == "snapshot-1"
    with Engine.open(any_bundle.folder, data=tmp_path) as engine:
        assert (engine.state.version, engine.state.graph.num_nodes) == (1, 0)
        assert engine.apply(everything, "key").repeated
        a, b = UpsertNode("a", "http socket"), UpsertNode("b", "matrix")
        engine.apply([a, b, AddEdge("a", "b")])
        engine.snapshot()
    with Engine.open(any_bundle.folder, data=tmp_path) as engine:
        assert engine.writer.log.snapshot == "snapshot-2"
        assert ids_of(engine) == {"a", "b"}
        assert_exact(engine, any_bundle)


def test_a_second_snapshot_waits_and_then_finds_nothing_to_do(
    tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one is asked for while the first one is between its folder and the journal."""
    names: list[str] = []
    entered, go = Event(), Event()
    write = snapshots_module.write_snapshot

    def held(*arguments: object) -> str:
        names.append(write(*arguments))  # type: ignore[arg-type]
        entered.set()
        assert go.wait(60)
        return names[-1]

    monkeypatch.setattr(snapshots_module, "write_snapshot", held)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        add(engine, 0, 5)
        writers = [Thread(target=engine.snapshot) for _ in range(2)]
        writers[0].start()
        assert entered.wait(60)
        writers[1].start()
        add(engine, 5)  # changes go on meanwhile
        go.set()
        for writer in writers:
            writer.join()
        engine.snapshot()
        assert names == ["snapshot-5", "snapshot-6"]
        assert engine.writer.log.start == 6


def test_the_snapshot_that_is_needed_is_not_written_again(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.snapshot()
        assert folders(tmp_path) == {"snapshot-0"}  # the graph that it began with
        add(engine, 0, 5)
        engine.snapshot()
        before = (tmp_path / "snapshot-5").stat().st_ino
        engine.snapshot()
        assert (tmp_path / "snapshot-5").stat().st_ino == before


FOREIGN = (
    "zfs-snapshot-2026-01-01",
    "model-snapshot-old",
    "snapshot-old",
    "snapshot-3.backup",
    "snapshot-03",
    "snapshot-",
    ".snapshot-3",
    ".snapshot-3.tar.gz",
    ".snapshot-3.old",
    "snapshot-4",  # by its name ours, by what is in it not
    ".snapshot-4.abcd1234",
)


def test_nothing_of_others_is_ever_removed(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    data = tmp_path / "data"
    elsewhere.mkdir()
    for name in FOREIGN:
        (data / name).mkdir(parents=True)
        (data / name / "precious.txt").write_text("mine")
    (data / "snapshot-1").symlink_to(elsewhere, target_is_directory=True)
    (data / "snapshot-2").write_text("a file of mine")
    for _ in range(2):
        with Engine.open(tiny_bundle.folder, data=data) as engine:
            add(engine, engine.state.version, 5)
            engine.snapshot()
    assert folders(data) == {*FOREIGN, "snapshot-1", "snapshot-10"}
    assert all((data / name / "precious.txt").read_text() == "mine" for name in FOREIGN)
    assert (data / "snapshot-2").read_text() == "a file of mine"
    assert elsewhere.is_dir()


def test_what_killed_snapshots_left_is_removed_at_the_start(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        add(engine, 0, 3)
        engine.snapshot()
        add(engine, 3, 3)
    for left in (
        "snapshot-2",
        "snapshot-5",
        ".snapshot-6.abcd_123",
        ".snapshot-6.writing-ab12cd34",
    ):
        shutil.copytree(tmp_path / "snapshot-3", tmp_path / left)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert folders(tmp_path) == {"snapshot-3"}
        assert engine.state.version == 6


def test_a_journal_that_is_lost_before_the_first_snapshot_is_missed(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    """The graph that it began with is there, and was kept only after the journal was begun."""
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        add(engine, 0, 3)
    assert folders(tmp_path) == {"snapshot-0"}
    kept = (tmp_path / JOURNAL_FILE).rename(tmp_path / "kept")
    with pytest.raises(JournalDamagedError, match=r"journal\.sqlite is missing.*snapshot-0"):
        Engine.open(tiny_bundle.folder, data=tmp_path)
    kept.rename(tmp_path / JOURNAL_FILE)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.state.version == 3


def test_a_journal_that_another_process_begins_meanwhile_is_not_missed(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    """It was looked for before, and the snapshot that the other one keeps is found after."""
    with Engine.open(tiny_bundle.folder, data=tmp_path):
        check_never_begun(tmp_path, tmp_path / JOURNAL_FILE)


def forget_journal(data: Path) -> None:
    (data / JOURNAL_FILE).unlink()


def empty_journal(data: Path) -> None:
    (data / JOURNAL_FILE).write_bytes(b"")


def new_journal(data: Path) -> None:
    bundle = data.parent / "bundle"
    Engine.open(bundle, data=data.parent / "other").close()
    shutil.copy(data.parent / "other" / JOURNAL_FILE, data / JOURNAL_FILE)


def older_journal(data: Path) -> None:
    shutil.copy(data.parent / "older.sqlite", data / JOURNAL_FILE)


@pytest.mark.parametrize("loss", [forget_journal, empty_journal, new_journal, older_journal])
def test_a_journal_that_knows_less_than_a_snapshot_is_refused(
    tiny_bundle: TinyBundle, tmp_path: Path, loss: Callable[[Path], None]
) -> None:
    shutil.copytree(tiny_bundle.folder, tmp_path / "bundle")
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        add(engine, 0, 2)
    shutil.copy(data / JOURNAL_FILE, tmp_path / "older.sqlite")
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        add(engine, 2, 2)
        engine.snapshot()
    (data / "snapshot-4" / "notes.txt").write_text("not even what others put into it hides it")
    loss(data)
    before = (data / JOURNAL_FILE).read_bytes() if (data / JOURNAL_FILE).exists() else None
    for _ in range(2):
        with pytest.raises(JournalDamagedError) as caught:
            Engine.open(tiny_bundle.folder, data=data)
        assert "snapshot-4" in str(caught.value) or "is empty" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert (data / "snapshot-4" / "manifest.json").is_file()
    after = (data / JOURNAL_FILE).read_bytes() if (data / JOURNAL_FILE).exists() else None
    assert after == before


def test_a_missing_snapshot_is_named(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        add(engine, 0, 3)
        engine.snapshot()
    shutil.rmtree(tmp_path / "snapshot-3")
    with pytest.raises(BundleMissingError, match="snapshot-3 is missing; the journal beside it"):
        Engine.open(tiny_bundle.folder, data=tmp_path)


def test_a_snapshot_is_on_the_disk_before_the_journal_is_cut(
    tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronized: set[int] = set()
    really = os.fsync

    def fsync(descriptor: int) -> None:
        really(descriptor)
        synchronized.add(os.fstat(descriptor).st_ino)

    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        add(engine, 0, 3)
        truncate = engine.writer.truncate
        missing: list[Path] = []

        def checked(number: int, name: str, keys: Keys) -> None:
            folder = tmp_path / name
            needed = [*folder.rglob("*"), folder, tmp_path]
            missing.extend(path for path in needed if path.stat().st_ino not in synchronized)
            assert len(needed) > 10
            truncate(number, name, keys)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(engine.writer, "truncate", checked)
        engine.snapshot()
        assert engine.writer.log.start == 3
        assert missing == []


def test_a_snapshot_that_fails_loses_nothing(
    tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        add(engine, 0, 3)
        engine.snapshot()
        add(engine, 3, 3)

        def fails(*_: object) -> Manifest:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(snapshots_module, "write_bundle", fails)
            with pytest.raises(JournalFailedError, match="No space left"):
                engine.snapshot()
        assert folders(tmp_path) == {"snapshot-3"}

        def refuses(*_: object) -> None:
            raise JournalError("the disk is gone")

        with monkeypatch.context() as patch:
            patch.setattr(engine.writer.log, "truncate", refuses)
            with pytest.raises(JournalFailedError, match="the disk is gone"):
                engine.snapshot()
        add(engine, 6)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.state.version == 7


def test_a_closed_engine_leaves_the_folder_alone(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    engine = Engine.open(tiny_bundle.folder, data=tmp_path)
    add(engine, 0, 3)
    engine.close()
    with pytest.raises(JournalFailedError, match="closed"):
        engine.snapshot()
    assert folders(tmp_path) == {"snapshot-0"}


def test_what_is_owed_is_owed_after_a_restart(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    """A change comes between settling and writing: its debts are part of the snapshot."""
    engine = Engine.open(tiny_bundle.folder, data=tmp_path)
    engine.maintenance.close()
    incremental_of(engine.writer).reach.debts.waking = 1e9
    add(engine, 0, 2)
    engine.settle()
    edge = ("node-1", "node-30")
    change = RemoveEdge(*edge) if linked(engine, *edge) else AddEdge(*edge)
    engine.apply([change])
    assert engine.writer.incremental.owes
    assert engine.snapshots is not None
    engine.snapshots.write()  # as `snapshot` does once it has settled
    owed = engine.writer.incremental.owed_now(engine.state.graph.num_rows)
    engine.close()
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.maintenance.close()
        assert engine.writer.incremental.owes
        again = engine.writer.incremental.owed_now(engine.state.graph.num_rows)
        for before, after in zip(owed, again, strict=True):
            np.testing.assert_array_equal(before, after)
        stored = engine.state.logits(engine.state.graph.live_rows())
        engine.settle()
        settled = engine.state.logits(engine.state.graph.live_rows())
        assert np.abs(settled - stored).max() > 1e-4  # there was something to pay
        fresh = fresh_logits(engine)
        np.testing.assert_allclose(settled, fresh, atol=1e-5)
    assert (tmp_path / "snapshot-3" / owed_file(0)).is_file()


def linked(engine: Engine, first: str, second: str) -> bool:
    graph = engine.state.graph
    rows = [graph.row_of(first), graph.row_of(second)]
    assert rows[0] is not None
    assert rows[1] is not None
    return graph.linked(rows[0], rows[1])


def fresh_logits(engine: Engine) -> NDArray[np.float32]:
    """Of every node, computed from nothing."""
    graph = to_text_graph(engine.state.graph)
    return np.asarray(compute_tables(engine.student, GraphStore(graph).view).logits.base)
