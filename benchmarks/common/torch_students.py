"""The same students in torch, as users of PyTorch Geometric write them: with an edge_index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv

from training.student.network import MessageLayer, Student
from understudy.graph.csr import Adjacency
from understudy.graph.layers.neighborhoods import Neighborhoods, Weighting, edge_weights


@dataclass(frozen=True, slots=True)
class EdgeList:
    """Shapes: index: int64 [2, E], sources and targets; weight: float32 [E], read by GCN."""

    index: Tensor
    weight: Tensor


class EdgeIndexStudent(nn.Module):
    """A student over a whole graph; shares its parameters with the trained one."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """x [N, dimension] → logits [N, classes]."""
        h = self.student.embed(x)
        for layer in map(as_layer, self.student.layers):
            h = layer.finish(h, convolution(layer, h, edge_index, edge_weight))
        return cast(Tensor, self.student.head(h))


class CachedStudent(nn.Module):
    """A student over a few new nodes whose neighbours' activations are known, layer by layer."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(
        self, x: Tensor, tables: Sequence[Tensor], edge_index: Tensor, edge_weight: Tensor
    ) -> Tensor:
        """x [B, dimension]; tables: h(l) of all stored nodes; edges from `star_edges`."""
        h = self.student.embed(x)
        for layer, table in zip(map(as_layer, self.student.layers), tables, strict=True):
            if layer.kind in ("sage", "gin"):  # they take sources and targets as two sets
                h = layer.finish(h, layer.conv((table, h), edge_index))
                continue
            count = len(h)
            nodes = torch.cat([h, table[edge_index[0, count:] - count]])
            sources = torch.arange(edge_index.shape[1])
            local = torch.stack([sources, edge_index[1]])
            h = layer.finish(h, convolution(layer, nodes, local, edge_weight)[:count])
        return cast(Tensor, self.student.head(h))


def as_layer(module: nn.Module) -> MessageLayer:
    return cast(MessageLayer, module)


def convolution(
    layer: MessageLayer, nodes: Tensor, edge_index: Tensor, edge_weight: Tensor
) -> Tensor:
    if layer.kind == "gcn":
        return cast(Tensor, layer.conv(nodes, edge_index, edge_weight))
    return cast(Tensor, layer.conv(nodes, edge_index))


def graph_edges(kind: str, adjacency: Adjacency) -> EdgeList:
    """The edges of a whole graph; for GCN with self-loops and normalised, once and for all."""
    index = adjacency.edge_index()
    if kind != "gcn":
        return EdgeList(torch.from_numpy(index), torch.ones(index.shape[1]))
    own = np.arange(adjacency.num_nodes)
    index = np.concatenate([index, np.stack([own, own])], axis=1)
    scale = 1 / np.sqrt(adjacency.degrees + 1.0)
    weight = (scale[index[0]] * scale[index[1]]).astype(np.float32)
    return EdgeList(torch.from_numpy(index), torch.from_numpy(weight))


def star_edges(kind: str, neighborhoods: Neighborhoods, weighting: Weighting) -> EdgeList:
    """The edges from stored nodes to new ones.

    For GCN and GAT every new node comes first as its own neighbour, and sources are shifted by
    the number of new nodes.
    """
    count = len(neighborhoods)
    sources = torch.from_numpy(neighborhoods.indices)
    degrees = torch.from_numpy(neighborhoods.self_degrees)
    own = torch.arange(count)
    targets = torch.repeat_interleave(own, degrees)
    weights, self_weights = map(torch.from_numpy, edge_weights(neighborhoods, weighting))
    if kind in ("sage", "gin"):
        return EdgeList(torch.stack([sources, targets]), weights)
    index = torch.stack([torch.cat([own, sources + count]), torch.cat([own, targets])])
    return EdgeList(index, torch.cat([self_weights, weights]))


def take_loops_from_edges(student: Student, wanted: bool) -> None:
    """Whether GAT finds its self-loops among the edges, as `star_edges` writes them."""
    for layer in map(as_layer, student.layers):
        if isinstance(layer.conv, GATConv):
            layer.conv.add_self_loops = not wanted
