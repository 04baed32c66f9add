"""A graph outlives its models: any bundle of its lineage can serve it, also as a replacement."""

import logging
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import msgspec
import numpy as np
import pytest

from tests.bundles import LABELS, TinyBundle, write_tiny_bundle
from tests.unit.engine.changes import assert_exact, described, ids_of
from understudy.bundle import BundleMissingError, open_bundle
from understudy.engine import Engine
from understudy.engine.errors import BundleForeignError, MutationRefusedError, NotReadyError
from understudy.engine.updates.affected import TEXTS_A_RUN
from understudy.graph.errors import JournalForeignError
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode
from understudy.graph.text_graph import TextGraph

OTHER_SEED = 12


def graph_of(engine: Engine) -> TextGraph:
    return to_text_graph(engine.state.graph)


def change(engine: Engine, name: str) -> None:
    """Three batches of every kind of change."""
    graph = engine.state.graph
    row = graph.row_of("node-0")
    assert row is not None
    linked = graph.id(int(graph.neighbors(row)[0]))
    engine.apply([UpsertNode(name, "json atom", label="games"), AddEdge(name, "node-1")], key=name)
    engine.apply([RemoveEdge("node-0", linked), UpsertNode("node-5", f"proof {name}")])
    engine.apply([DeleteNode(f"node-{20 + engine.state.version}")])


def named(engine: Engine) -> tuple[dict[str, tuple[str, str]], set[frozenset[str]]]:
    """Nodes with their labels' names, and edges."""
    graph = graph_of(engine)
    nodes, edges = described(graph)
    names = (*graph.label_names, "")
    return {node: (text, names[label]) for node, (text, label) in nodes.items()}, edges


def retrained(engine: Engine, folder: Path) -> TinyBundle:
    """Another model of the graph that an engine holds."""
    return write_tiny_bundle(folder, graph=graph_of(engine), seed=OTHER_SEED)


@pytest.mark.parametrize("snapshots", ["none", "before", "after"])
def test_a_retrained_bundle_starts_on_the_folder(
    tiny_bundle: TinyBundle, tmp_path: Path, snapshots: str
) -> None:
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        change(engine, "first")
        if snapshots == "before":
            engine.snapshot()
        bundle = retrained(engine, tmp_path / "bundle")
        change(engine, "second")
        if snapshots == "after":
            engine.snapshot()
        expected, version = named(engine), engine.state.version
    info = open_bundle(bundle.folder).manifest.graph
    assert (info.lineage, info.position) == (tiny_bundle.graph.content_hash, 3)
    with Engine.open(bundle.folder, data=data) as engine:
        assert engine.state.version == version == 6
        assert named(engine) == expected
        assert_exact(engine, bundle)
        again: list[Mutation] = [
            UpsertNode("first", "json atom", label="games"),
            AddEdge("first", "node-1"),
        ]
        assert engine.apply(again, key="first").repeated
        change(engine, "third")
        engine.snapshot()
        expected = named(engine)
    for each in (tiny_bundle, bundle):  # and back, from a snapshot with the other's activations
        with Engine.open(each.folder, data=data) as engine:
            assert (engine.state.version, named(engine)) == (9, expected)
            assert_exact(engine, each)


def test_engines_with_different_bundles_share_a_graph(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as one:
        change(one, "first")
        bundle = retrained(one, tmp_path / "bundle")
        with Engine.open(bundle.folder, data=data) as other:
            change(other, "second")
            one.follow()
            change(one, "third")
            other.follow()
            assert named(one) == named(other)
            assert_exact(one, tiny_bundle)
            assert_exact(other, bundle)


@pytest.mark.parametrize("durable", [False, True])
def test_a_bundle_takes_over_while_changes_go_on(
    tiny_bundle: TinyBundle, tmp_path: Path, durable: bool
) -> None:
    data = tmp_path / "data" if durable else None
    slot = [Engine.open(tiny_bundle.folder, data=data)]
    change(slot[0], "first")
    bundle = retrained(slot[0], tmp_path / "bundle")
    ended, begun = Event(), Event()
    versions: list[int] = []

    def keep_changing() -> None:
        while not ended.is_set() or len(versions) < 3:
            number = len(versions)
            applied = slot[0].submit([UpsertNode(f"new-{number}", "json")], f"key-{number}")
            versions.append(applied.result(60).version)
            assert slot[0].state.version >= versions[-1]
            begun.set()

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(keep_changing)
        assert begun.wait(60)
        old = slot[0]
        try:
            heir = Engine.open(bundle.folder, data=data, before=old)
            heir.take_over(old, lambda: slot.__setitem__(0, heir))
        finally:
            ended.set()
        changing.result(60)
    old.close()
    assert versions == list(range(4, 4 + len(versions)))
    assert heir.apply([UpsertNode("new-0", "json")], "key-0").repeated
    assert ids_of(heir) >= {"first", *(f"new-{number}" for number in range(len(versions)))}
    assert_exact(heir, bundle)
    heir.close()
    if durable:
        with Engine.open(bundle.folder, data=data) as engine:
            assert named(engine) == named(heir)


def test_a_bundle_of_another_graph_takes_no_place(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    engine = Engine.open(tiny_bundle.folder)
    other = write_tiny_bundle(tmp_path / "other", label_names=("a", "b", "c", "d"))
    with pytest.raises(BundleForeignError, match="export a student of it") as caught:
        Engine.open(other.folder, before=engine)
    assert "\n" not in str(caught.value)


def test_a_model_may_have_other_labels(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    """Nodes keep the labels that they were given; new ones may be given either's."""
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        change(engine, "first")
        with pytest.raises(MutationRefusedError, match="no label 'music'"):
            engine.apply([UpsertNode("first", label="music")])
        labels = ("music", "net", "games")
        graph = graph_of(engine)
        graph = replace(graph, label_names=labels, labels=graph.labels % len(labels))
        bundle = write_tiny_bundle(tmp_path / "bundle", graph=graph)
        heir = Engine.open(bundle.folder, data=data, before=engine)
        heir.take_over(engine, lambda: None)
        assert named(heir) == named(engine)
    with heir:
        assert heir.manifest.label_names == labels
        assert heir.state.tables.logits.width == len(labels)
        heir.apply([UpsertNode("first", label="music"), UpsertNode("node-1", label="editors")])
        heir.snapshot()
        heir.apply([UpsertNode("node-2", label="music")])
        assert_exact(heir, bundle)
        expected = named(heir)
        assert {expected[0][name][1] for name in ("first", "node-2")} == {"music"}
    for each in (tiny_bundle, bundle):
        with Engine.open(each.folder, data=data) as engine:
            assert named(engine) == expected
            assert_exact(engine, each)
    assert engine.classify([]) == []
    assert set(LABELS) <= set(engine.state.graph.label_names)


def without_lineage(folder: Path) -> None:
    """A bundle as releases before wrote it."""
    path = folder / "manifest.json"
    value = msgspec.json.decode(path.read_bytes())
    for name in ("lineage", "position"):
        del value["graph"][name]
    del value["activations_of"]
    path.write_bytes(msgspec.json.encode({**value, "schema_version": "1.2"}))


def of_an_older_release(data: Path) -> None:
    """A log as releases before wrote it; there was no copy of the graph beside it."""
    with closing(sqlite3.connect(data / "journal.sqlite")) as connection:
        connection.execute("DELETE FROM about WHERE name = 'lineage'")
        connection.execute("UPDATE about SET value = '2' WHERE name = 'format'")
        connection.commit()
    shutil.rmtree(data / "snapshot-0", ignore_errors=True)


@pytest.mark.parametrize("snapshot", [False, True])
def test_bundles_and_folders_of_older_releases_go_on(
    tiny_bundle: TinyBundle,
    tmp_path: Path,
    snapshot: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = Path(shutil.copytree(tiny_bundle.folder, tmp_path / "bundle"))
    without_lineage(folder)
    data = tmp_path / "data"
    with Engine.open(folder, data=data) as engine:
        change(engine, "first")
        newer = retrained(engine, tmp_path / "newer")
        if snapshot:
            engine.snapshot()
            without_lineage(data / "snapshot-3")
        expected = named(engine)
    of_an_older_release(data)
    with pytest.raises(JournalForeignError, match="once with that bundle"):
        Engine.open(newer.folder, data=data)
    with caplog.at_level(logging.INFO), Engine.open(folder, data=data) as engine:
        assert "written by an older release" in caplog.text
        assert named(engine) == expected
        assert_exact(engine, tiny_bundle)
    with Engine.open(newer.folder, data=data) as engine:
        assert named(engine) == expected
        assert_exact(engine, newer)


def test_a_folder_without_the_graph_it_began_with_names_the_bundle(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        change(engine, "first")
        newer = retrained(engine, tmp_path / "newer")
    shutil.rmtree(data / "snapshot-0")
    version = open_bundle(tiny_bundle.folder).manifest.version
    with pytest.raises(BundleMissingError, match=rf"3 changes newer; .*{version}"):
        Engine.open(newer.folder, data=data)
    Engine.open(tiny_bundle.folder, data=data).close()  # which leaves the graph there
    Engine.open(newer.folder, data=data).close()


def test_a_folder_may_begin_with_a_later_graph(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    engine = Engine.open(tiny_bundle.folder)
    change(engine, "first")
    bundle = retrained(engine, tmp_path / "bundle")
    assert Engine.open(bundle.folder).state.version == 3
    for _ in range(2):
        with Engine.open(bundle.folder, data=tmp_path / "data") as engine:
            change(engine, f"at-{engine.state.version}")
            expected = named(engine)
    assert engine.state.version == 9
    with Engine.open(tiny_bundle.folder, data=tmp_path / "data") as engine:  # an earlier model
        assert named(engine) == expected
        assert_exact(engine, tiny_bundle)


def test_a_bundle_that_lacks_activations_takes_over(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    engine = Engine.open(tiny_bundle.folder)
    bundle = retrained(engine, tmp_path / "bundle")
    shutil.rmtree(bundle.folder / "activations")
    path = bundle.folder / "manifest.json"
    value = msgspec.json.decode(path.read_bytes())
    value["files"] = {k: v for k, v in value["files"].items() if not k.startswith("activations")}
    path.write_bytes(msgspec.json.encode(value))
    change(engine, "first")
    heir = Engine.open(bundle.folder, before=engine)
    heir.take_over(engine, lambda: None)
    assert_exact(heir, bundle)
    assert np.isfinite(heir.state.tables.logits.base).all()


def test_no_bundle_takes_the_place_of_an_engine_that_is_closed_meanwhile(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    data, stages = tmp_path / "data", list[str]()
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        engine.apply([UpsertNode("a", "json")])
        later = retrained(engine, tmp_path / "later")

        def end(stage: str, done: int, total: int) -> None:
            stages.append(stage)
            engine.close()

        with pytest.raises(NotReadyError, match="closed in the meantime"):
            Engine.open(later.folder, data=data, progress=end, before=engine)
        assert len(stages) == 1  # it ends at the next piece of work, not at the last one
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        assert "a" in ids_of(engine)


def test_the_graph_is_not_followed_to_its_end_once_nobody_waits(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    """Which would encode every new text first."""
    stages = list[str]()
    with Engine.open(tiny_bundle.folder) as engine:
        later = retrained(engine, tmp_path / "later")
        texts = 3 * TEXTS_A_RUN
        engine.apply([UpsertNode(f"new-{n}", f"a text of its own, {n}") for n in range(texts)])

        def end(stage: str, done: int, total: int) -> None:
            stages.append(stage)
            if stages.count("Following the graph") == 3:  # its beginning, and two pieces
                engine.close()

        with pytest.raises(NotReadyError, match="closed in the meantime"):
            Engine.open(later.folder, progress=end, before=engine)
    assert stages.count("Following the graph") == 3
