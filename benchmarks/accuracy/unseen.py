"""Measures how well a bundle classifies nodes that it never contained, from text and links.

A share of the test nodes is taken out of the graph with all their edges before any teacher is asked
and any student trained (`EvaluationOptions.withheld`). Every trained student is then exported as
`understudy export` does it, and the engine is asked about those nodes one at a time, as a client
asks: by text, and the ids of the stored nodes that they link to, of which some are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import BenchmarkError
from export.bundle import export_bundle
from export.options import ExportOptions
from training.calibration import Calibration
from training.evaluation.rows import NEIGHBORHOODS, unseen_name
from training.evaluation.run import TrainedRun
from training.evaluation.splits import split_graph, withheld_nodes
from training.student.checkpoint import save_checkpoint
from understudy.engine import Engine, Node
from understudy.graph import TextGraph, load_graph, read_meta
from understudy.graph.splits import labeled_nodes


@dataclass(frozen=True, slots=True)
class AskBundle:
    """Measures a trained student on the nodes that were withheld from its split."""

    graph: Path  # the whole one's folder
    split_kind: str

    def __call__(self, trained: TrainedRun) -> Mapping[str, float]:
        """Test accuracy by the number of links given, under the names of `unseen_name`.

        Raises:
            BenchmarkError: the engine refuses a node.
            ExportError: a gate failed.
        """
        graph = load_graph(self.graph)
        number = trained.key.split
        whole = split_graph(graph, self.split_kind, number)
        nodes = withheld_nodes(labeled_nodes(whole, "test"), number)
        with TemporaryDirectory() as folder:
            write_bundle(trained, Path(folder))
            with Engine.open(Path(folder) / "bundle") as engine:
                shares = accuracies(engine, graph, nodes)
        return {
            unseen_name(links): share for links, share in zip(NEIGHBORHOODS, shares, strict=True)
        }


def write_bundle(trained: TrainedRun, folder: Path) -> None:
    """Writes `bundle` into a folder, with the float32 encoder: judging int8 takes every text."""
    meta = read_meta(trained.inputs.folder)
    config = replace(
        trained.config,
        graph_path=str(trained.inputs.folder.resolve()),
        graph_name=meta["name"],
        graph_hash=meta["content_hash"],
    )
    student = folder / "student"
    save_checkpoint(student, config, trained.student, trained.training, {}, Calibration())
    export_bundle(student, folder / "bundle", ExportOptions(encoder_precision="fp32"))


def accuracies(engine: Engine, graph: TextGraph, nodes: NDArray[np.int64]) -> list[float]:
    """The shares of unseen nodes that the engine classifies correctly, asked one node at a time,
    once with each of NEIGHBORHOODS."""
    right = np.zeros(len(NEIGHBORHOODS), dtype=np.int64)
    for node in nodes.tolist():
        variants = [unseen_node(graph, nodes, node, links) for links in NEIGHBORHOODS]
        answers = engine.classify(variants)  # the text is encoded once
        for answer in answers:
            if answer.error is not None:
                raise BenchmarkError(f"the engine refuses node {graph.ids[node]}: {answer.error}")
        expected = graph.label_names[graph.labels[node]]
        right += [answer.label == expected for answer in answers]
    return [int(count) / len(nodes) for count in right]


def unseen_node(graph: TextGraph, unseen: NDArray[np.int64], node: int, links: int | None) -> Node:
    """A node's text, and the ids of some of its neighbours that are stored, drawn by its index."""
    stored = np.setdiff1d(graph.adjacency.neighbors(node), unseen)
    chosen = np.random.default_rng(node).permutation(stored)[:links]
    ids = tuple(str(graph.ids[neighbor]) for neighbor in chosen.tolist())
    return Node(text=str(graph.texts[node]), neighbors=ids)
