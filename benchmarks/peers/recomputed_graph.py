"""A graph of which PyTorch Geometric recomputes all nodes when an edge is added or removed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch_geometric.nn import GATConv

from benchmarks.common.torch_students import as_layer
from benchmarks.errors import BenchmarkError
from benchmarks.peers.predictor import Predictor
from training.data import adjacency_matrix, attended, normalized_adjacency
from training.encoders.features import csr_tensor
from training.student.attention import attention
from training.student.network import MessageLayer
from understudy.graph import build_adjacency
from understudy.graph.csr import Adjacency


@dataclass(frozen=True, slots=True)
class Change:
    """An edge to add or remove, by the ids of its nodes."""

    kind: str  # add_edge or remove_edge
    source: str
    target: str


class RecomputedGraph:
    """A graph, and the logits of all its nodes, float32 [N, classes]."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        adjacency = predictor.adjacency
        sources = np.repeat(np.arange(adjacency.num_nodes), adjacency.degrees)
        pairs = np.stack([sources, np.asarray(adjacency.indices)], axis=1)
        self.pairs = pairs[pairs[:, 0] < pairs[:, 1]]  # int64 [E, 2]
        self.version = 0
        self.compute()

    def change(self, mutations: Sequence[Change]) -> int:
        row_of = self.predictor.row_of
        added = []
        for mutation in mutations:
            pair = sorted((row_of[mutation.source], row_of[mutation.target]))
            if mutation.kind == "add_edge":
                added.append(pair)
            elif mutation.kind == "remove_edge":
                self.pairs = self.pairs[(self.pairs != pair).any(axis=1)]
            else:
                raise BenchmarkError(f"this rival's graph changes by edges, not {mutation.kind}")
        self.pairs = np.concatenate([self.pairs, np.array(added, np.int64).reshape(-1, 2)])
        self.compute()
        self.version += 1
        return self.version

    @torch.inference_mode()
    def compute(self) -> None:
        adjacency = build_adjacency(len(self.predictor.features), self.pairs)[0]
        layers = [as_layer(layer) for layer in self.predictor.student.layers]
        convolve = convolution_over(layers[0].kind, adjacency)
        h = self.predictor.features
        for layer in layers:
            h = layer.finish(h, convolve(layer, h))
        self.table = self.predictor.student.head(h).numpy()


def convolution_over(
    kind: str, adjacency: Adjacency
) -> Callable[[MessageLayer, torch.Tensor], torch.Tensor]:
    """How a layer of a kind sums over a whole graph, h [N, hidden] → [N, hidden]."""
    if kind in ("sage", "gin"):
        matrix = csr_tensor(adjacency_matrix(adjacency))
        return lambda layer, h: cast(torch.Tensor, layer.conv(h, matrix))
    normalized = normalized_adjacency(adjacency)
    if kind == "gcn":
        weighted = csr_tensor(normalized)
        return lambda layer, h: cast(torch.Tensor, layer.conv(h, weighted))
    pairs = attended(normalized)
    return lambda layer, h: attention(cast(GATConv, layer.conv), h, pairs)
