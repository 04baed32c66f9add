"""The student: an input layer, message-passing layers, and a linear head.

h0 = input(features), layer l gives h(l), and the logits are linear in the last h (LinguGKD, arXiv
2402.05894, section 3.3). Every h is kept: distillation matches them hop by hop.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.config import Registry, StudentConfig
from training.data import Edges, Product
from training.encoders.features import TEXTS_A_STEP, Features, HashedFeatures, multiplied
from training.encoders.sparse_product import sparse_product
from training.errors import TrainingError
from training.memory import BAG_WIDTH
from training.student.attention import attention
from training.student.by_rows import by_rows, dropout, of_nodes
from training.student.convolutions import GATConv, GCNConv, GINConv, SAGEConv
from training.threads import shared_out
from understudy.graph.layers.neighborhoods import Weighting

Update = Callable[[Any, Tensor, Tensor | None], Tensor]  # the first is made by `make`


@dataclass(frozen=True, slots=True)
class StudentLayer:
    """How the layers of a kind of student are made and run.

    Attributes:
        make: builds a layer's own network, which keeps the width `hidden`
        weighting: of a neighbourhood's rows in the served form; None: it cannot be exported
        update: runs it on some rows, h [B, hidden], and their aggregated neighbours, if rows are
            independent of each other; None: all rows are needed
        run: runs it on all rows, h [N, hidden], and the edges → [N, hidden]; None: by `update`
    """

    make: Callable[[StudentConfig], nn.Module]
    weighting: Weighting | None
    update: Update | None = None
    run: Callable[[Any, Tensor, Edges], Tensor] | None = None


STUDENTS: Registry[StudentLayer] = Registry("student")


def register_student(
    name: str, make: Callable[[StudentConfig], nn.Module], weighting: Weighting | None
) -> None:
    """Registers a kind of student, so that `StudentConfig(kind=name)` can be trained.

    The weighting decides how the module from `make` is called: as `module(h, aggregated)`, with the
    neighbours' rows aggregated, for mean, sum or symmetric (GCN's), and as `module(h)` for none;
    such students can be exported. For None it is `module(h, edges)`, which can read the edges in
    any way (`Edges`), but export refuses it before it does any work.

    Raises:
        TrainingError: the name is taken, or the weighting is `mask`, which is reserved for GAT.
    """
    if weighting == "mask":
        raise TrainingError("the weighting 'mask' is GAT's alone; give None, or another one")
    runs: dict[Weighting | None, Callable[[nn.Module, Tensor, Edges], Tensor]] = {
        "mean": lambda module, h, edges: module(h, mean_of_neighbors(h, edges)),
        "sum": lambda module, h, edges: module(h, multiplied(edges.adjacency, h)),
        "symmetric": lambda module, h, edges: module(h, multiplied(edges.normalized, h)),
        "none": lambda module, h, edges: module(h),
        None: lambda module, h, edges: module(h, edges),
    }
    STUDENTS.register(name, StudentLayer(make, weighting, run=runs[weighting]))


def mean_of_neighbors(h: Tensor, edges: Edges) -> Tensor:
    """The mean of neighbours' rows, [N, hidden]; zeros for a node without neighbours."""
    count = multiplied(edges.adjacency, h.new_ones(len(h), 1))
    return multiplied(edges.adjacency, h) / count.clamp_min(1)


def convolution(config: StudentConfig) -> nn.Module:
    """Creates a layer's own network."""
    layer = STUDENTS[config.kind]
    if config.kind != "gin":
        perceptron(config.hidden)  # drawn and dropped to keep each seed's weights
    return layer.make(config)


def perceptron(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def gin(config: StudentConfig) -> nn.Module:
    conv: nn.Module = GINConv(perceptron(config.hidden), train_eps=True)
    return conv


def gat(config: StudentConfig) -> nn.Module:
    width, heads = config.hidden, config.heads
    conv: nn.Module = GATConv(width, width // heads, heads=heads)
    return conv


def sage_update(conv: SAGEConv, h: Tensor, aggregated: Tensor | None) -> Tensor:
    """GraphSAGE, mean aggregation (arXiv 1706.02216)."""
    updated: Tensor = conv.lin_l(aggregated) + conv.lin_r(h)
    return updated


def gcn_update(conv: GCNConv, h: Tensor, aggregated: Tensor | None) -> Tensor:
    """GCN, symmetric normalisation with self-loops (arXiv 1609.02907, eq. 2)."""
    updated: Tensor = conv.lin(aggregated) + conv.bias
    return updated


def gin_update(conv: GINConv, h: Tensor, aggregated: Tensor | None) -> Tensor:
    """GIN with a learned epsilon (arXiv 1810.00826, eq. 4.1)."""
    updated: Tensor = conv.nn((1 + conv.eps) * h + aggregated)
    return updated


OURS = {
    "sage": StudentLayer(
        lambda config: SAGEConv(config.hidden, config.hidden), "mean", sage_update
    ),
    "gcn": StudentLayer(
        lambda config: GCNConv(config.hidden, config.hidden, normalize=False),
        "symmetric",
        gcn_update,
    ),
    "gat": StudentLayer(
        gat,
        "mask",
        run=lambda conv, h, edges: attention(conv, h, edges.attended),
    ),
    "gin": StudentLayer(gin, "sum", gin_update),
    "mlp": StudentLayer(
        lambda config: nn.Linear(config.hidden, config.hidden),
        "none",
        lambda conv, h, aggregated: conv(h),
    ),
}


for name, kind in OURS.items():
    STUDENTS.register(name, kind)


ENTRIES_A_BUCKET = 32  # n-grams per table row from which mapping the table first is less work


@dataclass(frozen=True, slots=True)
class StudentOutput:
    """Shapes: hidden: h0 … hL, each [N, hidden]; logits: [N, classes].

    hL is left out unless it was requested; for a batch there may be fewer rows, see `Batch`.
    """

    hidden: list[Tensor]
    logits: Tensor


class HashedInput(nn.Module):
    """A learned embedding bag over n-gram buckets, then a linear map: [N, buckets] → [N, hidden].

    An n-gram in no training text keeps its initial embedding, so embeddings start at zero.
    """

    def __init__(self, buckets: int, hidden: int, probability: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(buckets, BAG_WIDTH))
        self.probability = probability
        self.linear = nn.Linear(BAG_WIDTH, hidden)

    def rows(self, features: HashedFeatures) -> Tensor:
        """The input of the linear map: the bags, [N, BAG_WIDTH]."""
        return sparse_product(features.rows, self.table)

    def mapped(self, rows: Tensor) -> Tensor:
        """[B, BAG_WIDTH] → [B, hidden]."""
        mapped: Tensor = self.linear(rows)
        return mapped

    def mapped_rows(self, features: HashedFeatures) -> Tensor | None:
        """Applies both maps at once, [N, hidden], if that is less work; otherwise None.

        With few outputs and many n-grams per bucket, it is cheaper to map the table first and sum
        afterwards; a dropout between the two maps rules that out.
        """
        narrow = self.linear.out_features < BAG_WIDTH
        few = features.entries < ENTRIES_A_BUCKET * len(self.table)
        if not narrow or few or (self.probability and self.training):
            return None
        with torch.autocast(self.table.device.type, enabled=False):
            return sparse_product(features.rows, F.linear(self.table, self.linear.weight))

    def reader(self, features: HashedFeatures) -> Callable[[NDArray[np.int64]], Tensor]:
        """Returns a function that maps some texts, int64 [B], to [B, hidden], without a gradient.

        Both maps are linear: with few outputs, the table is mapped first.
        """
        table, weight = self.table.detach(), self.linear.weight.detach()
        narrow = len(weight) < BAG_WIDTH
        values = (F.linear(table, weight) if narrow else table).cpu().numpy()

        def read(nodes: NDArray[np.int64]) -> Tensor:
            bags = torch.from_numpy(features.matrix(nodes) @ values).to(table.device)
            return bags + self.linear.bias if narrow else self.mapped(bags)

        return read


class DenseInput(nn.Linear):
    """A linear map of the encoder's embeddings: [N, dimension] → [N, hidden]."""

    def __init__(self, dimension: int, hidden: int, probability: float) -> None:
        super().__init__(dimension, hidden)
        self.probability = probability

    def rows(self, features: Tensor) -> Tensor:
        """The input of the linear map."""
        return features

    def mapped(self, rows: Tensor) -> Tensor:
        """[B, dimension] → [B, hidden]."""
        return F.linear(rows, self.weight, self.bias)


class MessageLayer(nn.Module):
    """Aggregation, normalisation, ReLU, and optionally the layer's input added back."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.kind, self.residual, self.probability = config.kind, config.residual, config.dropout
        self.conv = convolution(config)
        self.norm = normalization(config)

    def forward(
        self, h: Tensor, edges: Edges, head: nn.Module | None = None, first: int | None = None
    ) -> Tensor:
        """The next activations [N, hidden], or with a head its logits after dropout; limited to the
        `first` rows if rows depend on each other only through aggregated neighbours.
        """
        layer = STUDENTS[self.kind]
        probability = self.probability * self.training
        if layer.run is None:
            product = self.product(edges, len(h) if first is None else first, len(h))
            return by_rows(self.updated, self, h, product, probability, head, first)
        h = dropout(h, probability, self.training)
        # Activations and logits stay float32, even if the products use bfloat16.
        h = self.finish(h, layer.run(self.conv, h, edges)).to(h.dtype)
        if head is None:
            return h
        logits: Tensor = head(dropout(h, probability, self.training))
        return logits.to(h.dtype)

    def product(self, edges: Edges, rows: int, columns: int) -> Product | None:
        """The product that sums this layer's neighbours, see `Edges.product`; None if none does."""
        layer = STUDENTS[self.kind]
        if layer.update is None or layer.weighting is None:
            return None
        return edges.product(layer.weighting, rows, columns)

    def of_nodes(
        self, h: Tensor, edges: Edges, nodes: Tensor, product: Product | None, head: nn.Module
    ) -> Tensor:
        """A head's logits of some nodes, in evaluation; `product` is limited to these nodes."""
        if STUDENTS[self.kind].update is None:
            logits: Tensor = self(h, edges, head)
            return logits[nodes]
        return of_nodes(self.updated, h, nodes, product, head)

    def updated(self, h: Tensor, aggregated: Tensor | None) -> Tensor:
        """The next activations of some rows, from these and their aggregated neighbours."""
        update = STUDENTS[self.kind].update
        assert update is not None
        return self.finish(h, update(self.conv, h, aggregated))

    def finish(self, h: Tensor, updated: Tensor) -> Tensor:
        """The steps after the aggregation; the exported form shares them."""
        updated = F.relu(self.norm(updated))
        return updated + h if self.residual else updated


class Student(nn.Module):
    """A student of any kind, see `StudentConfig`.

    Shapes: features: dense [N, dimension] or hashed; returns: `StudentOutput`.
    """

    def __init__(self, config: StudentConfig, dimension: int, classes: int, hashed: bool) -> None:
        super().__init__()
        self.config = config
        sizes = dimension, config.hidden, config.input_dropout
        self.input: HashedInput | DenseInput = HashedInput(*sizes) if hashed else DenseInput(*sizes)
        self.input_norm = normalization(config)
        self.layers = nn.ModuleList(MessageLayer(config) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden, classes)

    def forward(
        self,
        features: Features,
        edges: Edges,
        embedded: Tensor | None = None,
        last: bool = True,
        reach: Sequence[int] = (),
    ) -> StudentOutput:
        """All layers' activations (hL only if `last`), and the logits; `embedded` is h0 if known.

        `reach` is the number of leading rows that each layer computes, see `Batch`; empty: all.
        """
        hidden = [self.embed(features) if embedded is None else embedded]
        counts: Sequence[int | None] = reach or [None] * len(self.layers)
        for layer, count in zip(self.layers[:-1], counts[:-1], strict=True):
            hidden.append(layer(hidden[-1], edges, None, count))
        if not last:
            logits = self.layers[-1](hidden[-1], edges, self.head, counts[-1])
            return StudentOutput(hidden, logits)
        hidden.append(self.layers[-1](hidden[-1], edges, None, counts[-1]))
        return StudentOutput(hidden, self.classified(hidden[-1]))

    def of_nodes(
        self,
        features: Features,
        edges: Edges,
        nodes: Tensor,
        product: Product | None,
        embedded: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, classes] of some nodes, int64 [B]; `product` is the last layer's, for them."""
        h = self.embed(features) if embedded is None else embedded
        for layer in self.layers[:-1]:
            h = layer(h, edges)
        last = cast(MessageLayer, self.layers[-1])
        return last.of_nodes(h, edges, nodes, product, self.head)

    def embed(self, features: Features) -> Tensor:
        """h0 [N, hidden]; without a gradient in steps for hashed texts without a matrix, and for
        features on another device."""
        learning = torch.is_grad_enabled() or self.training
        if not learning and self.reads_in_steps(features):
            return self.embed_in_steps(features)
        if isinstance(self.input, HashedInput) and isinstance(features, HashedFeatures):
            mapped = self.input.mapped_rows(features)
            if mapped is not None:
                modules = nn.ModuleList([self.input.linear, self.input_norm])
                return by_rows(self.first_of_mapped, modules, mapped)
        rows = self.input.rows(features)  # type: ignore[arg-type]
        modules = nn.ModuleList([self.input, self.input_norm])
        return by_rows(self.first, modules, rows, None, self.input.probability * self.training)

    def reads_in_steps(self, features: Features) -> bool:
        if isinstance(features, HashedFeatures):
            return features.in_steps
        return features.device != self.head.weight.device

    def embed_in_steps(self, features: Features, run: slice = slice(None)) -> Tensor:
        """h0 of a slice of the nodes, [B, hidden], some thousand at a time, without dropout."""
        device = self.head.weight.device
        first, end, _ = run.indices(len(features))
        result = torch.empty(end - first, self.config.hidden, device=device)
        if not isinstance(features, HashedFeatures):
            for rows, own in zip(
                result.split(TEXTS_A_STEP), features[run].split(TEXTS_A_STEP), strict=True
            ):
                rows.copy_(self.embed(own.to(device)))
            return result
        read = cast(HashedInput, self.input).reader(features)
        inference = torch.is_inference_mode_enabled()  # the mode is thread-local

        def fill(start: int) -> None:
            nodes = np.arange(start, min(start + features.step, end))
            rows = slice(start - first, start - first + len(nodes))
            with torch.inference_mode(inference), torch.no_grad():
                result[rows] = F.relu(self.input_norm(read(nodes)))

        shared_out(fill, range(first, end, features.step))
        return result

    def first(self, rows: Tensor, _: Tensor | None) -> Tensor:
        return F.relu(self.input_norm(self.input.mapped(rows)))

    def first_of_mapped(self, rows: Tensor, _: Tensor | None) -> Tensor:
        return F.relu(self.input_norm(rows + cast(HashedInput, self.input).linear.bias))

    def classified(self, h: Tensor) -> Tensor:
        """Logits [N, classes] of the last activations."""
        probability = self.config.dropout * self.training
        return by_rows(lambda rows, _: self.head(rows), self.head, h, None, probability)

    def drop(self, h: Tensor) -> Tensor:
        return dropout(h, self.config.dropout, self.training)


def normalization(config: StudentConfig) -> nn.Module:
    return nn.LayerNorm(config.hidden) if config.normalization == "layer" else nn.Identity()
