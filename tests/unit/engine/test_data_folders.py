"""Changes across restarts, and the states of a data folder at opening."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.bundles import NODES, TinyBundle, write_tiny_bundle
from tests.unit.engine.changes import assert_exact, ids_of
from tests.unit.graph.log.logs import read_little
from understudy.bundle import BundleDamagedError, BundleError, open_bundle, write_bundle
from understudy.bundle.student import activation_file
from understudy.engine import Engine
from understudy.engine.errors import (
    InvalidArgumentError,
    JournalFailedError,
    MutationTargetError,
)
from understudy.engine.snapshots import PREFIX
from understudy.engine.updates.tickets import Applied
from understudy.graph.errors import JournalForeignError
from understudy.graph.log.protocol import Record
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, UpsertNode


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


def fill(engine: Engine, first: int, count: int) -> None:
    for number in range(first, first + count):
        name = f"new-{number}"
        engine.apply([UpsertNode(name, f"json {number}"), AddEdge(name, f"node-{number % 9}")])


def test_a_snapshot_takes_the_place_of_the_records(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        fill(engine, 0, 5)
        engine.apply([DeleteNode("node-20")])
        engine.snapshot()
        assert [path.name for path in tmp_path.glob("snapshot-*")] == [f"{PREFIX}6"]
        fill(engine, 5, 3)
        engine.snapshot()
        fill(engine, 8, 2)
        assert (engine.writer.log.start, engine.writer.log.number) == (9, 11)
        ids = ids_of(engine)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.state.version == 11
        assert ids_of(engine) == ids
        assert engine.model_version == open_bundle(tiny_bundle.folder).manifest.version
        assert_exact(engine, tiny_bundle)
    assert [path.name for path in tmp_path.glob("snapshot-*")] == [f"{PREFIX}9"]
    changed = tmp_path / f"{PREFIX}9" / activation_file(0)
    changed.write_bytes(changed.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleDamagedError, match="was changed"):
        Engine.open(tiny_bundle.folder, data=tmp_path)


def test_a_damaged_tail_is_cut_and_said(
    tiny_bundle: TinyBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        fill(engine, 0, 8)
        journal = engine.writer.log
        journal.connection.execute(  # type: ignore[attr-defined]
            "UPDATE records SET payload = x'5b5d' WHERE number = 6"
        )
    with caplog.at_level(logging.ERROR), Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.state.version == 5
        assert "after record 5" in caplog.text
        assert ids_of(engine) >= {"new-4"}
        assert "new-5" not in ids_of(engine)
        assert_exact(engine, tiny_bundle)


def test_one_data_folder_serves_one_graph(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    data = tmp_path / "data"
    Engine.open(tiny_bundle.folder, data=data).close()
    other = write_tiny_bundle(tmp_path / "other", label_names=("a", "b", "c", "d"))
    with pytest.raises(JournalForeignError, match="use a separate data folder") as caught:
        Engine.open(other.folder, data=data)
    assert "\n" not in str(caught.value)


def test_records_that_do_not_fit_the_graph_are_refused(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.writer.log.append([Record(1, None, b'[{"kind":"delete_node","id":"nobody"}]')])
    with pytest.raises(JournalFailedError, match="record 1 of the journal does not fit"):
        Engine.open(tiny_bundle.folder, data=tmp_path)


def test_a_record_of_a_newer_release_asks_for_an_upgrade(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.writer.log.push([Record(0, None, b'[{"kind":"rename_node","id":"node-1"}]')])
    with pytest.raises(JournalFailedError, match=r"record 1 .* a newer release wrote: upgrade"):
        Engine.open(tiny_bundle.folder, data=tmp_path)


@pytest.mark.parametrize("file", ["manifest.json", "graph/nodes.arrow", "activations/h0.npy"])
def test_a_damaged_snapshot_says_what_to_do(
    tiny_bundle: TinyBundle, tmp_path: Path, file: str
) -> None:
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.apply([UpsertNode("new", "json")])
        engine.snapshot()
    path = tmp_path / "snapshot-1" / file
    whole = path.read_bytes()
    changed = whole[:-1] + bytes([whole[-1] ^ 1])
    for damaged in (whole[: len(whole) // 2], changed, None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        with pytest.raises(BundleError, match=r"snapshot-1.*understudy restore") as refused:
            Engine.open(tiny_bundle.folder, data=tmp_path)
        assert "understudy export" not in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_bundle_without_activations_computes_them(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle.folder, tmp_path / "copy")

    def without(target: Path) -> object:
        for name in ("graph", "student"):
            shutil.copytree(tmp_path / "copy" / name, target / name)
        return open_bundle(tiny_bundle.folder).manifest

    write_bundle(tmp_path / "bundle", without)  # type: ignore[arg-type]
    reports: list[tuple[str, int, int]] = []
    engine = Engine.open(tmp_path / "bundle", progress=lambda *step: reports.append(step))
    rows = np.arange(NODES)
    np.testing.assert_allclose(engine.state.logits(rows), tiny_bundle.logits, atol=1e-4)
    assert reports[0] == ("Computing activations", 0, 3 * NODES)
    assert reports[-1] == ("Computing activations", 3 * NODES, 3 * NODES)


def test_a_changed_array_is_noticed_before_the_engine_is_ready(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    path = folder / activation_file(1)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleDamagedError, match="SHA-256"):
        Engine.open(folder)


def test_many_stored_nodes_are_looked_up_at_once(tiny_bundle: TinyBundle, engine: Engine) -> None:
    state = engine.state
    rows = state.rows(["node-3", "nobody", "node-0"])
    assert rows.tolist() == [3, -1, 0]
    expected = tiny_bundle.logits[[3, 0]].argmax(axis=1)
    np.testing.assert_array_equal(state.best_labels(rows[rows >= 0]), expected)
    assert state.best_labels(rows[:0]).tolist() == []
    with pytest.raises(IndexError, match=r"rows\[1\] is -1"):
        state.best_labels(rows)
    with pytest.raises(IndexError, match=rf"rows\[0\] is {NODES}"):
        state.best_labels(np.array([NODES]))
    with pytest.raises(IndexError, match=r"rows\[1\] is -1"):
        state.logits(rows)
    with pytest.raises(IndexError, match=r"rows\[1\] is -1"):
        state.activations(0, rows)
    for layer in (-1, 2):
        with pytest.raises(IndexError, match=f"layer {layer} is not one of 2"):
            state.activations(layer, rows[:1])
    engine.apply([DeleteNode("node-3")])
    engine.apply([UpsertNode("other", "sprite level score")])
    np.testing.assert_array_equal(state.best_labels(rows[rows >= 0]), expected)  # of its version
    assert engine.state.rows(["node-3", "other"]).tolist() == [-1, NODES]


def test_a_node_that_comes_back_is_in_its_splits_however_the_log_is_applied(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    back, stranger = UpsertNode("node-3", "sprite level", "games"), UpsertNode("new", "json")

    def splits_of(engine: Engine) -> dict[str, list[str]]:
        graph = to_text_graph(engine.state.graph)
        ids = graph.ids.to_pylist()
        return {name: [ids[row] for row in rows] for name, rows in graph.splits.items()}

    def check(engine: Engine) -> None:
        members = {name: sorted(ids) for name, ids in splits_of(engine).items()}
        assert members == {name: sorted(ids) for name, ids in before.items()}
        assert_exact(engine, tiny_bundle)

    batches: list[list[Mutation]] = [
        [DeleteNode("node-3")],
        [stranger],  # takes no row of the base
        [back, AddEdge("node-3", "new")],
        [DeleteNode("new"), DeleteNode("node-3"), back, DeleteNode("node-3"), back, stranger],
        [DeleteNode("node-3")],
        [back, DeleteNode("node-3"), back, AddEdge("node-3", "node-0")],
    ]
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        before = splits_of(engine)
        assert "node-3" in before["train"]
        for batch in batches:
            engine.apply(batch)
        check(engine)
        with pytest.raises(MutationTargetError):
            engine.apply([DeleteNode("node-3"), back, DeleteNode("nobody")])
        check(engine)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:  # all in one pass
        check(engine)
        engine.snapshot()
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        check(engine)


def test_what_is_done_when_idle(
    tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.engine.engine.ENTRIES_KEPT", 2)
    monkeypatch.setattr("understudy.engine.engine.RECORDS_KEPT", 3)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        fill(engine, 0, 8)
        engine.maintain()
        assert engine.state.graph.parts.lists.used == 0
        assert engine.writer.log.start == 8
        assert_exact(engine, tiny_bundle)


def test_a_log_of_few_large_records_is_shortened(
    tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "json " * 10_000
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.apply([UpsertNode("a", text)])
        engine.apply([UpsertNode("b", text)])
        size = engine.writer.log_size()
        assert size[0] == 2
        assert size[1] > 2 * len(text)
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        assert engine.writer.log_size() == size
        with Engine.open(tiny_bundle.folder, before=engine) as heir:
            heir.take_over(engine, lambda: None)
            assert heir.writer.log_size() == size
    with Engine.open(tiny_bundle.folder, data=tmp_path) as engine:
        engine.maintain()
        assert engine.writer.log.start == 0
        monkeypatch.setattr("understudy.engine.snapshots.BYTES_KEPT", len(text))
        engine.maintain()
        assert engine.writer.log.start == 2
        assert engine.writer.log_size() == (0, 0)
        assert_exact(engine, tiny_bundle)


def test_a_log_is_applied_piece_by_piece(
    tiny_bundle: TinyBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_little(monkeypatch, 1)
    other = write_tiny_bundle(tmp_path / "other", seed=12)
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        with Engine.open(tiny_bundle.folder, data=data) as follower:
            fill(engine, 0, 5)
            engine.apply([DeleteNode("node-3"), UpsertNode("node-3", "sprite")], "key")
            follower.apply([AddEdge("node-3", "new-1")])
            assert follower.state.version == 7
            assert_exact(follower, tiny_bundle)
        ids = ids_of(engine)
    for bundle in (tiny_bundle, other):  # with the activations that are there, and without
        with Engine.open(bundle.folder, data=data) as engine:
            assert (engine.state.version, ids_of(engine)) == (7, ids)
            assert engine.apply([DeleteNode("node-3"), UpsertNode("node-3", "sprite")], "key") == (
                Applied(6, repeated=True)
            )
            assert_exact(engine, bundle)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("bundle", "is the bundle's own folder"),
        ("link", "is the bundle's own folder"),
        ("bundle/changes", "is inside the bundle"),
        ("link/deeply/nested", "is inside the bundle"),
        ("bundle/../bundle/graph", "is inside the bundle"),
        ("", "contains the bundle"),
        ("bundle/..", "contains the bundle"),
    ],
)
def test_changes_and_bundle_lie_apart(
    tiny_bundle: TinyBundle, tmp_path: Path, data: str, words: str
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle.folder, bundle)
    (tmp_path / "link").symlink_to(bundle)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidArgumentError, match=f"{words}.*name a folder beside the bundle"):
        Engine.open(bundle, data=tmp_path / data)
    assert sorted(tmp_path.rglob("*")) == before
    Engine.open(tmp_path / "link", data=tmp_path / "changes").close()


@pytest.mark.parametrize(
    ("data", "words"),
    [("~/data", "begins with ~.*the whole path"), ("s3://bucket/data", "is a URL.*mount it")],
)
def test_a_data_folder_is_no_url_and_no_unexpanded_home(
    tiny_bundle: TinyBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    data: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgumentError, match=f"data: {data} {words}"):
        Engine.open(tiny_bundle.folder, data=Path(data))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inner", ["snapshot-0", "inner/most", "snapshot-0/graph"])
def test_a_data_folder_lies_in_no_other_one(
    tiny_bundle: TinyBundle, tmp_path: Path, inner: str
) -> None:
    data = tmp_path / "data"
    Engine.open(tiny_bundle.folder, data=data).close()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidArgumentError, match=f"is inside {data}, .*name a folder beside"):
        Engine.open(tiny_bundle.folder, data=data / inner)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_data_folder_is_none_around_another_one(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    """The inner one would lie in a data folder from then on, and not be opened any more."""
    outer = tmp_path / "data"
    inner = outer / "graph"
    Engine.open(tiny_bundle.folder, data=inner).close()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidArgumentError, match=f"contains {inner}, which is a data folder"):
        Engine.open(tiny_bundle.folder, data=outer)
    assert sorted(tmp_path.rglob("*")) == before
    Engine.open(tiny_bundle.folder, data=inner).close()
