"""The student as users of PyTorch Geometric serve it: each request computes a neighbourhood."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.common.torch_students import as_layer, convolution
from benchmarks.errors import BenchmarkError
from benchmarks.peers.khop import Neighborhoods, Rows, Subgraph
from benchmarks.peers.peer import NodeBody
from benchmarks.peers.predictions import predictions
from training.student.checkpoint import load_checkpoint
from understudy.bundle import open_bundle
from understudy.bundle.student import activation_file, open_student
from understudy.engine.inputs import open_input
from understudy.graph.snapshot import load_snapshot

KINDS = ("sage", "gin", "gcn", "gat")


class Predictor:
    """Answers about stored and unseen nodes.

    It has the weights of the student's folder, and of the bundle the graph, the text encoder and
    every stored node's h0, so that no stored text is encoded again.
    """

    def __init__(self, bundle: Path, student: Path, most: Sequence[int] = ()) -> None:
        torch.set_num_threads(1)
        opened = open_bundle(bundle, verify=False)
        self.manifest = opened.manifest
        graph = load_snapshot(bundle / "graph")
        self.row_of = {name: row for row, name in enumerate(graph.ids.to_pylist())}
        self.adjacency = graph.adjacency
        self.neighborhoods = Neighborhoods(graph.adjacency, most)
        self.features = torch.from_numpy(np.load(bundle / activation_file(0)))
        self.student = load_checkpoint(student).student
        if self.manifest.student.kind not in KINDS:
            raise BenchmarkError(f"rivals serve students of the kinds {', '.join(KINDS)}")
        networks = open_student(bundle, self.manifest.student, 1, "cpu")
        self.encode = open_input(opened, networks.input, 1, "cpu")

    def answer_all(
        self, requests: Sequence[Sequence[NodeBody]], top_k: int = 1
    ) -> list[list[dict[str, Any]]]:
        """The predictions of several requests, computed together."""
        answers = iter(self.answer([node for nodes in requests for node in nodes], top_k))
        return [[next(answers) for _ in nodes] for nodes in requests]

    def answer(self, nodes: Sequence[NodeBody], top_k: int = 1) -> list[dict[str, Any]]:
        """Makes one prediction per node, in the service's form."""
        return predictions(self.logits(nodes), nodes, self.manifest, top_k)

    def logits(self, nodes: Sequence[NodeBody]) -> NDArray[np.float32]:
        """float32 [B, classes]."""
        texts = [node["text"] for node in nodes if node.get("text")]
        stored = [self.row_of[node["id"]] for node in nodes if not node.get("text")]
        rows, where = np.unique(np.array(stored, np.int64), return_inverse=True)
        near = [
            np.array([self.row_of[name] for name in node.get("neighbors") or ()], np.int64)
            for node in nodes
            if node.get("text")
        ]
        subgraph = self.neighborhoods.around(rows, near, len(self.student.layers))
        found = self.propagate(subgraph, self.inputs(subgraph, texts), near)
        known, unseen = iter(where.tolist()), iter(range(len(rows), len(rows) + len(texts)))
        return found[[next(unseen if node.get("text") else known) for node in nodes]]

    def inputs(self, subgraph: Subgraph, texts: Sequence[str]) -> Tensor:
        """h0 of the subgraph's nodes, [S, hidden]."""
        stored = len(self.features)
        nodes = torch.from_numpy(np.where(subgraph.nodes < stored, subgraph.nodes, 0))
        h = self.features[nodes]
        if texts:
            h[subgraph.nodes >= stored] = torch.from_numpy(self.encode(texts))
        return h

    @torch.inference_mode()
    def propagate(self, subgraph: Subgraph, h: Tensor, near: Sequence[Rows]) -> NDArray[np.float32]:
        """h0 [S, hidden] → logits of those asked about; each layer for the nodes still needed."""
        layers = [as_layer(layer) for layer in self.student.layers]
        degrees = self.degrees(subgraph, near)
        for number, layer in enumerate(layers):
            hop = len(layers) - 1 - number
            count, end = subgraph.counts[hop], subgraph.edges[hop]
            index = torch.from_numpy(np.stack([subgraph.sources[:end], subgraph.targets[:end]]))
            if layer.kind in ("sage", "gin"):  # they take sources and targets as two sets
                updated = layer.conv((h, h[:count]), index)
            else:
                looped, weights = with_loops(layer.kind, index, degrees, len(h))
                updated = convolution(layer, h, looped, weights)[:count]
            h = layer.finish(h[:count], updated)
        return cast(NDArray[np.float32], self.student.head(h).numpy())

    def degrees(self, subgraph: Subgraph, near: Sequence[Rows]) -> Tensor:
        """The degrees of the subgraph's nodes in the whole graph, float32 [S]."""
        indptr, stored = self.neighborhoods.indptr, len(self.features)
        rows = np.minimum(subgraph.nodes, stored - 1)
        found = (indptr[rows + 1] - indptr[rows]).astype(np.float32)
        found[subgraph.nodes >= stored] = [len(row) for row in near]
        return torch.from_numpy(found)


def with_loops(kind: str, index: Tensor, degrees: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """For GCN the edges with self-loops, and their weights; GAT adds its own loops."""
    if kind != "gcn":
        return index, torch.ones(index.shape[1])
    own = torch.arange(count)
    looped = torch.cat([index, torch.stack([own, own])], dim=1)
    scale = (degrees[:count] + 1).rsqrt()
    return looped, scale[looped[0]] * scale[looped[1]]
