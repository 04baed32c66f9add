"""The student: an input layer, message-passing layers, and a linear head.

h0 = input(features) is the pre-message-passing layer; layer l gives h(l); the logits are linear in
the last one (LinguGKD, arXiv 2402.05894, section 3.3). Every h is kept, because distillation
matches them hop by hop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

from training.config import Registry, StudentConfig
from training.data import Edges
from training.encoders.features import Features, HashedFeatures
from training.encoders.sparse_product import sparse_product
from training.errors import TrainingError
from training.student.attention import attention
from understudy.graph.neighborhoods import Weighting


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


BAG_WIDTH = 128  # of the learned embedding of an n-gram bucket


@dataclass(frozen=True, slots=True)
class StudentOutput:
    """Shapes: hidden: h0 … hL, each [N, hidden]; logits: [N, classes]."""

    hidden: list[Tensor]
    logits: Tensor


class HashedInput(nn.Module):
    """A learned embedding bag over n-gram buckets, then a linear map: [N, buckets] → [N, hidden].

    An n-gram that no training text holds keeps its initial embedding, so that starts at zero.
    """

    def __init__(self, buckets: int, hidden: int, probability: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(buckets, BAG_WIDTH))
        self.probability = probability
        self.linear = nn.Linear(BAG_WIDTH, hidden)

    def forward(self, features: HashedFeatures) -> Tensor:
        bag = sparse_product(features.rows, self.table)
        return cast(Tensor, self.linear(dropout(bag, self.probability, self.training)))


class DenseInput(nn.Linear):
    """A linear map of the encoder's embeddings: [N, dimension] → [N, hidden]."""

    def __init__(self, dimension: int, hidden: int, probability: float) -> None:
        super().__init__(dimension, hidden)
        self.probability = probability

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(dropout(features, self.probability, self.training))


class MessageLayer(nn.Module):
    """Aggregation, normalisation, ReLU, and the layer's input added back where asked for."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.kind, self.residual = config.kind, config.residual
        self.conv = convolution(config)
        self.norm = normalization(config)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        return self.finish(h, STUDENTS[self.kind].run(self.conv, h, edges))

    def finish(self, h: Tensor, updated: Tensor) -> Tensor:
        """What follows the aggregation; the exported form shares it."""
        updated = F.relu(self.norm(updated))
        return updated + h if self.residual else updated


class Student(nn.Module):
    """A student of any kind; see `StudentConfig`.

    Shapes:
        features: dense [N, dimension] or hashed
        returns: `StudentOutput`
    """

    def __init__(self, config: StudentConfig, dimension: int, classes: int, hashed: bool) -> None:
        super().__init__()
        self.config = config
        make_input = HashedInput if hashed else DenseInput
        self.input = make_input(dimension, config.hidden, config.input_dropout)
        self.input_norm = normalization(config)
        self.layers = nn.ModuleList(MessageLayer(config) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden, classes)

    def forward(
        self, features: Features, edges: Edges, embedded: Tensor | None = None
    ) -> StudentOutput:
        """`embedded` is h0, where it is known already."""
        h = self.embed(features) if embedded is None else embedded
        hidden = [h]
        for layer in self.layers:
            h = layer(self.drop(h), edges)
            hidden.append(h)
        return StudentOutput(hidden, self.head(self.drop(h)))

    def embed(self, features: Features) -> Tensor:
        """h0 [N, hidden]."""
        return F.relu(self.input_norm(self.input(features)))

    def drop(self, h: Tensor) -> Tensor:
        return dropout(h, self.config.dropout, self.training)


def dropout(x: Tensor, probability: float, training: bool) -> Tensor:
    """Torch's dropout, three times faster on processors, where its own mask is drawn serially."""
    if not training or not probability:
        return x
    kept = (torch.rand_like(x) >= probability).to(x.dtype)
    return x * kept.mul_(1 / (1 - probability))


def normalization(config: StudentConfig) -> nn.Module:
    return nn.LayerNorm(config.hidden) if config.normalization == "layer" else nn.Identity()
