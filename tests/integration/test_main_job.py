"""The main job with the real commands' functions: graph → student → bundle → answers."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.bundle import export_bundle
from export.options import ExportOptions
from service.messages import Node
from training.config import (
    STUDENT_KINDS,
    DistillOptions,
    StudentConfig,
    StudentKind,
    TrainingConfig,
)
from training.distill import distill
from understudy.engine.engine import Engine
from understudy.graph import TextGraph, load_graph, save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

TOLERANCE = 1e-4
TWO_LAYERS = ("sage", "hashing"), ("gat", "hashing")


def write_graph(folder: Path, nodes: int) -> Path:
    dials = SyntheticOptions(nodes=nodes, classes=4, mean_degree=6, homophily=0.8)
    save_graph(synthetic_graph(dials), folder)
    return folder


@pytest.fixture(scope="session")
def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_graph(tmp_path_factory.mktemp("main-job") / "graph", 300)


def make_bundle(graph_folder: Path, folder: Path, kind: StudentKind, encoder: str) -> Path:
    layers = 2 if (kind, encoder) in TWO_LAYERS else 1  # every exported layer takes seconds
    options = DistillOptions(
        encoder=encoder,
        student=StudentConfig(kind=kind, layers=layers, hidden=32, dropout=0.2),
        training=TrainingConfig(epochs=30),
    )
    metrics = distill(graph_folder, folder / "student", options)
    assert metrics["test_accuracy"] > 0.6  # chance is 0.25
    export_bundle(folder / "student", folder / "bundle", ExportOptions())
    return folder / "bundle"


def as_unseen(graph: TextGraph, node: int) -> Node:
    """A stored node's text and neighbours, as if it were new."""
    neighbors = (graph.ids[int(index)].as_py() for index in graph.adjacency.neighbors(node))
    return Node(text=graph.texts[node].as_py(), neighbors=tuple(neighbors))


def stored(graph: TextGraph, node: int) -> Node:
    return Node(id=graph.ids[node].as_py())


def differences(engine: Engine, graph: TextGraph, nodes: NDArray[np.int64]) -> NDArray[np.float32]:
    expected = engine.logits([stored(graph, int(node)) for node in nodes])
    found = engine.logits([as_unseen(graph, int(node)) for node in nodes])
    return np.asarray(np.abs(found - expected))


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_an_unseen_node_like_a_stored_one_gets_its_logits(
    kind: StudentKind, graph_folder: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(graph_folder, tmp_path, kind, "hashing")
    graph = load_graph(graph_folder)
    engine = Engine.open(bundle)
    assert differences(engine, graph, graph.splits["test"]).max() <= TOLERANCE


def test_the_same_holds_with_the_transformer_encoder(tmp_path: Path) -> None:
    folder = write_graph(tmp_path / "graph", 150)  # each text takes it a tenth of a second
    bundle = make_bundle(folder, tmp_path, "sage", "minilm")
    graph = load_graph(folder)
    engine = Engine.open(bundle)
    assert differences(engine, graph, graph.splits["test"]).max() <= TOLERANCE


def test_the_same_seed_gives_the_same_student(graph_folder: Path, tmp_path: Path) -> None:
    versions = set()
    for name in ("first", "second"):
        options = DistillOptions(
            encoder="hashing",
            student=StudentConfig(hidden=16),
            training=TrainingConfig(epochs=3, seed=7),
        )
        distill(graph_folder, tmp_path / name, options)
        versions.add((tmp_path / name / "student.safetensors").read_bytes())
    assert len(versions) == 1
