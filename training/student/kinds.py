"""Kinds of students: what a layer makes of a node and its neighbours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

from training.config import StudentConfig
from training.errors import TrainingError
from training.registry import Registry
from training.student.attention import Attended, attention
from understudy.graph.neighborhoods import Weighting


@dataclass(frozen=True, slots=True)
class Edges:
    """The graph's edges in the forms that the layers read.

    Shapes:
        adjacency: sparse CSR [N, N], ones; row i holds the neighbours of node i
        normalized: sparse CSR [N, N], with self-loops, 1 / sqrt((d_i + 1)(d_j + 1)), for GCN
        attended: every node's neighbours and itself, for GAT
        edge_index: int64 [2, 2 E], read by objectives
    """

    adjacency: Tensor
    normalized: Tensor
    attended: Attended
    edge_index: Tensor


@dataclass(frozen=True, slots=True)
class StudentLayer:
    """How the layers of a kind of student are made and run.

    Attributes:
        make: a layer's own network, from activations of width `hidden` to such
        run: that network, h [N, hidden] and the edges → [N, hidden]
        weighting: of a neighbourhood's rows in the served form; None: it cannot be exported
    """

    make: Callable[[StudentConfig], nn.Module]
    run: Callable[[nn.Module, Tensor, Edges], Tensor]
    weighting: Weighting | None


STUDENTS: Registry[StudentLayer] = Registry("student")


def register_student(
    name: str, make: Callable[[StudentConfig], nn.Module], weighting: Weighting | None
) -> None:
    """Adds a kind of student, so that `StudentConfig(kind=name)` can be trained.

    What `make` returns is called by the weighting. With mean, sum or symmetric (GCN's), as
    `module(h, aggregated)`, the neighbours' rows already aggregated; with none as `module(h)`: such
    a student can be exported and served. With None as `module(h, edges)`, and it can read the edges
    in any way (`Edges`), but cannot be exported, which export says before it does any work.

    Raises:
        TrainingError: the name is taken, or the weighting is `mask`, which is GAT's alone.
    """
    if weighting == "mask":
        raise TrainingError("the weighting 'mask' is GAT's alone; give None, or another one")
    runs: dict[Weighting | None, Callable[[nn.Module, Tensor, Edges], Tensor]] = {
        "mean": lambda module, h, edges: module(h, mean_of_neighbors(h, edges)),
        "sum": lambda module, h, edges: module(h, edges.adjacency @ h),
        "symmetric": lambda module, h, edges: module(h, edges.normalized @ h),
        "none": lambda module, h, edges: module(h),
        None: lambda module, h, edges: module(h, edges),
    }
    STUDENTS.register(name, StudentLayer(make, runs[weighting], weighting))


def mean_of_neighbors(h: Tensor, edges: Edges) -> Tensor:
    """[N, hidden]; zeros for a node without neighbours."""
    count = edges.adjacency @ torch.ones(len(h), 1)
    return (edges.adjacency @ h) / count.clamp_min(1)


def convolution(config: StudentConfig) -> nn.Module:
    """A layer's own network, fresh."""
    layer = STUDENTS[config.kind]
    if config.kind != "gin":
        perceptron(config.hidden)  # drawn and dropped, for the weights that a seed always gave
    return layer.make(config)


def perceptron(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def gin(config: StudentConfig) -> nn.Module:
    return cast(nn.Module, GINConv(perceptron(config.hidden), train_eps=True))


def gat(config: StudentConfig) -> nn.Module:
    width, heads = config.hidden, config.heads
    return cast(nn.Module, GATConv(width, width // heads, heads=heads))


OURS = {
    "sage": StudentLayer(
        lambda config: SAGEConv(config.hidden, config.hidden),
        lambda conv, h, edges: conv(h, edges.adjacency),
        "mean",
    ),
    "gcn": StudentLayer(
        lambda config: GCNConv(config.hidden, config.hidden, normalize=False),
        lambda conv, h, edges: conv(h, edges.normalized),
        "symmetric",
    ),
    "gat": StudentLayer(
        gat, lambda conv, h, edges: attention(cast(GATConv, conv), h, edges.attended), "mask"
    ),
    "gin": StudentLayer(gin, lambda conv, h, edges: conv(h, edges.adjacency), "sum"),
    "mlp": StudentLayer(
        lambda config: nn.Linear(config.hidden, config.hidden),
        lambda conv, h, edges: conv(h),
        "none",
    ),
}
for name, kind in OURS.items():
    STUDENTS.register(name, kind)
