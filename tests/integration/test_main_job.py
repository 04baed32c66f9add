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


@pytest.fixture(scope="session")
def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main-job") / "graph"
    save_graph(
        synthetic_graph(SyntheticOptions(nodes=300, classes=4, mean_degree=6, homophily=0.8)),
        folder,
    )
    return folder


def make_bundle(graph_folder: Path, folder: Path, kind: StudentKind, encoder: str) -> Path:
    layers = 2 if kind in ("sage", "gat") else 1  # every exported layer takes seconds
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


def test_the_same_holds_with_the_transformer_encoder(graph_folder: Path, tmp_path: Path) -> None:
    bundle = make_bundle(graph_folder, tmp_path, "sage", "minilm")
    graph = load_graph(graph_folder)
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
