"""A bundle overwritten in place while it is served: nothing of it is answered or saved."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bundles import TinyBundle, tiny_graph, write_tiny_bundle
from tests.e2e.conftest import serving
from understudy.bundle.student import LOGITS_FILE
from understudy.engine import Engine, Node
from understudy.engine.errors import JournalFailedError, NotReadyError
from understudy.graph.lineage import lineage_of
from understudy.graph.mutations import UpsertNode
from understudy.graph.text_graph import TextGraph, string_array


def shouted() -> TextGraph:
    """A later position of the tiny graph, whose texts are others of the same length."""
    graph = tiny_graph()
    texts = string_array(text.swapcase() for text in graph.texts.to_pylist())
    return replace(graph, texts=texts, lineage=replace(lineage_of(graph), position=3))


@pytest.fixture
def bundle(tmp_path: Path) -> TinyBundle:
    return write_tiny_bundle(tmp_path / "bundle")


@pytest.fixture
def other_graph(tmp_path: Path) -> TinyBundle:
    return write_tiny_bundle(tmp_path / "other-graph", graph=shouted(), seed=5)


@pytest.fixture
def other_model(tmp_path: Path) -> TinyBundle:
    return write_tiny_bundle(tmp_path / "other-model", seed=5)


def overwrite(bundle: TinyBundle, other: TinyBundle) -> None:
    """As `cp -r other/. bundle`: the files stay, what is in them does not."""
    shutil.copytree(other.folder, bundle.folder, dirs_exist_ok=True)


def test_what_was_overwritten_is_neither_told_nor_kept(
    bundle: TinyBundle, other_graph: TinyBundle, tmp_path: Path
) -> None:
    with Engine.open(bundle.folder, data=tmp_path / "data") as engine:
        before = engine.classify([Node(id="node-3")])
        engine.apply([UpsertNode("new", "json")])
        overwrite(bundle, other_graph)
        with pytest.raises(NotReadyError, match=r"\.npy was overwritten in place .* restart the"):
            engine.apply([UpsertNode("newer", "json")])
        with pytest.raises(NotReadyError, match="overwritten in place"):
            engine.classify([Node(id="node-3")])
        with pytest.raises(JournalFailedError, match="overwritten in place"):
            engine.snapshots.write()  # type: ignore[union-attr]
        engine.maintain()  # which leaves it at that
        assert not (tmp_path / "data" / "snapshot-1").exists()
    shutil.rmtree(bundle.folder)
    write_tiny_bundle(bundle.folder)
    with Engine.open(bundle.folder, data=tmp_path / "data") as engine:
        assert engine.classify([Node(id="node-3")]) == before
        assert engine.state.version == 1
        row = engine.state.graph.row_of("node-3")
        assert row is not None
        assert engine.state.graph.text(row) == bundle.text(3)


def test_what_is_put_back_is_not_believed_again(
    bundle: TinyBundle, other_model: TinyBundle
) -> None:
    logits = bundle.folder / LOGITS_FILE
    content = logits.read_bytes()
    with Engine.open(bundle.folder) as engine:
        logits.write_bytes((other_model.folder / LOGITS_FILE).read_bytes())
        engine.writer.originals.look()
        logits.write_bytes(content)  # what was computed in between is in memory all the same
        engine.writer.originals.look()
        assert engine.damage.startswith(f"{LOGITS_FILE} was overwritten")


def test_files_that_hold_what_they_held_are_no_damage(
    bundle: TinyBundle, other_model: TinyBundle
) -> None:
    with Engine.open(bundle.folder) as engine:
        before = engine.classify([Node(id="node-3")])
        for path in bundle.folder.rglob("*.npy"):
            os.utime(path, (1, 1))
        bundle.folder.rename(bundle.folder.with_name("old"))
        shutil.copytree(other_model.folder, bundle.folder)  # replaced as a whole
        engine.writer.originals.look()
        assert not engine.damage
        assert engine.classify([Node(id="node-3")]) == before


def test_a_folder_that_gave_way_to_a_file_leaves_what_is_mapped_alone(bundle: TinyBundle) -> None:
    with Engine.open(bundle.folder) as engine:
        bundle.folder.rename(bundle.folder.with_name("old"))
        bundle.folder.touch()
        engine.apply([UpsertNode("new", "json")])  # which looks at the files
        assert not engine.damage


def test_files_that_nobody_can_look_at_are_not_believed_until_somebody_can(
    bundle: TinyBundle, other_graph: TinyBundle
) -> None:
    old = bundle.folder.with_name("old")
    with Engine.open(bundle.folder) as engine:
        before = engine.classify([Node(id="node-3")])
        for overwritten in (False, True):
            bundle.folder.rename(old)
            bundle.folder.symlink_to(bundle.folder)  # as where a disk gives errors
            with pytest.raises(NotReadyError, match=r"cannot be checked for changes \(Too many le"):
                engine.apply([UpsertNode("new", "json")])
            with pytest.raises(NotReadyError, match="let the service read it"):
                engine.classify([Node(id="node-3")])
            bundle.folder.unlink()
            old.rename(bundle.folder)
            if overwritten:
                overwrite(bundle, other_graph)
            engine.writer.originals.look()
            if not overwritten:
                assert engine.classify([Node(id="node-3")]) == before
        with pytest.raises(NotReadyError, match="overwritten in place"):
            engine.classify([Node(id="node-3")])


def test_another_model_takes_over_where_the_graph_is_whole(
    bundle: TinyBundle, other_model: TinyBundle
) -> None:
    with Engine.open(bundle.folder) as engine:
        engine.apply([UpsertNode("new", "json")])
        overwrite(bundle, other_model)
        with Engine.open(bundle.folder, before=engine) as heir:
            heir.take_over(engine, lambda: None)
            assert heir.classify([Node(id="new")])[0].error is None
            assert heir.state.version == 1


def test_no_other_model_takes_over_a_graph_that_was_overwritten(
    bundle: TinyBundle, other_graph: TinyBundle
) -> None:
    with Engine.open(bundle.folder) as engine:
        overwrite(bundle, other_graph)
        with pytest.raises(NotReadyError, match=r"graph/nodes\.arrow was overwritten in place"):
            Engine.open(bundle.folder, before=engine)


def test_a_service_is_not_ready_and_says_why(bundle: TinyBundle, other_graph: TinyBundle) -> None:
    with serving(bundle.folder) as service:
        overwrite(bundle, other_graph)
        while (ready := service.client.get("/health/ready")).status_code == 200:
            pass  # it looks once a second
        assert ready.status_code == 503
        assert "overwritten in place" in ready.json()["error"]["message"]
        for answer in (
            service.classify({"id": "node-3"}),
            service.classify({"text": "a text that was never stored"}),
            service.client.get("/nodes/node-3"),
            service.client.put("/nodes/node-3", json={"text": "json"}),
            service.client.get("/graph"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
        refused = service.client.post("/admin/reload")
        assert refused.status_code == 422
        assert "graph/nodes.arrow was overwritten" in refused.json()["error"]["message"]
        metrics = service.client.get("/metrics")
        assert metrics.status_code == 200
        assert "understudy_ready 0.0" in metrics.text
