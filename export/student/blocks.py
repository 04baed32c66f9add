"""The student without scatter operations: padded neighbourhoods as input, dense products.

Each block shares its parameters with the trained layer and computes the same function, in one of
two forms. A gathering block reads, for B nodes with at most K neighbours each, the nodes' own
activations, a table of activations, and the index and weights of
`understudy.graph.layers.neighborhoods.Block`; padding has weight 0. A dense block receives
neighbours that are already aggregated.

Constants are computed once, here, and not in every run.

Shapes, for every block that declares them:
    h: float32 [B, d]; aggregated: float32 [B, d]
    table: float32 [M, d]; index: int64 [B, K]
    weight: float32 [B, K]; self_weight: float32 [B, 1]
    returns: float32 [B, d'], or logits [B, classes] from the last one
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.errors import ExportError
from training.student.convolutions import GATConv, GCNConv, GINConv, SAGEConv
from training.student.network import STUDENTS, HashedInput, MessageLayer, Student
from understudy.graph.layers.neighborhoods import Weighting


class DenseInputBlock(nn.Module):
    """x [B, dimension] → h0 [B, hidden]."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.linear, self.norm = student.input, student.input_norm

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.linear(x)))


class HashedInputBlock(nn.Module):
    """buckets int64 [B, K] and weights float32 [B, K] → h0 [B, hidden]."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        source = cast(HashedInput, student.input)
        self.table, self.linear, self.norm = source.table, source.linear, student.input_norm

    def forward(self, buckets: Tensor, weights: Tensor) -> Tensor:
        bag = gathered_sum(self.table, buckets, weights)
        return F.relu(self.norm(self.linear(bag)))


class LayerBlock(nn.Module):
    """One message-passing layer; the last one also computes the logits."""

    def __init__(self, layer: MessageLayer, head: nn.Module | None) -> None:
        super().__init__()
        self.layer, self.head = layer, head

    def finish(self, h: Tensor, updated: Tensor) -> Tensor:
        h = self.layer.finish(h, updated)
        return h if self.head is None else cast(Tensor, self.head(h))


class LinearBlock(LayerBlock):
    """The dense form of a layer whose aggregation is a weighted sum."""

    def forward(self, h: Tensor, aggregated: Tensor) -> Tensor:
        return self.finish(h, self.update(h, aggregated))

    def update(self, h: Tensor, aggregated: Tensor) -> Tensor:
        """The convolution's output, from the nodes and their aggregated neighbours."""
        raise NotImplementedError


class SageBlock(LinearBlock):
    """GraphSAGE, mean aggregation (arXiv 1706.02216)."""

    def update(self, h: Tensor, aggregated: Tensor) -> Tensor:
        conv = cast(SAGEConv, self.layer.conv)
        return torch.addmm(conv.lin_l(aggregated), h, conv.lin_r.weight.T)


class GcnBlock(LinearBlock):
    """GCN, symmetric normalisation with self-loops (arXiv 1609.02907, eq. 2)."""

    def update(self, h: Tensor, aggregated: Tensor) -> Tensor:
        conv = cast(GCNConv, self.layer.conv)
        return F.linear(aggregated, conv.lin.weight, conv.bias)


class GinBlock(LinearBlock):
    """GIN with a learned epsilon (arXiv 1810.00826, eq. 4.1)."""

    own_weight: Tensor  # [1]

    def __init__(self, layer: MessageLayer, head: nn.Module | None) -> None:
        super().__init__(layer, head)
        self.register_buffer("own_weight", (1 + cast(GINConv, layer.conv).eps).detach().clone())

    def update(self, h: Tensor, aggregated: Tensor) -> Tensor:
        conv = cast(GINConv, self.layer.conv)
        return cast(Tensor, conv.nn(self.own_weight * h + aggregated))


class RegisteredBlock(LinearBlock):
    """A registered kind, whose network reads the nodes and their aggregated neighbours."""

    def update(self, h: Tensor, aggregated: Tensor) -> Tensor:
        return cast(Tensor, self.layer.conv(h, aggregated))


class GatheringBlock(nn.Module):
    """Gathers and sums the neighbours, then applies `dense`."""

    def __init__(self, dense: LinearBlock) -> None:
        super().__init__()
        self.dense = dense

    def forward(self, h: Tensor, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        return cast(Tensor, self.dense(h, gathered_sum(table, index, weight)))


class SelfGatheringBlock(GatheringBlock):
    """Like `GatheringBlock`, for nodes that are among their own neighbours."""

    def forward(  # type: ignore[override]
        self, h: Tensor, table: Tensor, index: Tensor, weight: Tensor, self_weight: Tensor
    ) -> Tensor:
        total = gathered_sum(table, index, weight) + self_weight * h
        return cast(Tensor, self.dense(h, total))


class GatBlock(LayerBlock):
    """GAT with self-loops (arXiv 1710.10903, eq. 3 and 4).

    The linear map is applied after the attention-weighted sum, to one row per head instead of one
    per neighbour; the scores need only its products with the attention vectors, [d, heads].
    """

    source: Tensor  # [d, H]
    both: Tensor  # [d, 2 H]: source and target
    maps: Tensor  # [H, d, c]

    def __init__(self, layer: MessageLayer, head: nn.Module | None) -> None:
        super().__init__(layer, head)
        conv = cast(GATConv, layer.conv)
        maps = conv.lin.weight.detach().view(conv.heads, conv.out_channels, -1)  # [H, c, d]
        source = torch.einsum("hcd,hc->dh", maps, conv.att_src[0].detach())
        target = torch.einsum("hcd,hc->dh", maps, conv.att_dst[0].detach())
        self.heads, self.slope = conv.heads, conv.negative_slope
        self.register_buffer("source", source.contiguous())
        self.register_buffer("both", torch.cat([source, target], dim=1))
        self.register_buffer("maps", maps.transpose(1, 2).contiguous())

    def forward(self, h: Tensor, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        rows = F.embedding(index, table)  # [B, K, d]
        own, target = (h @ self.both).unsqueeze(1).split(self.heads, dim=2)  # [B, 1, H] each
        scores = F.leaky_relu(rows @ self.source + target, self.slope)  # [B, K, H]
        scores = scores + torch.log(weight).unsqueeze(2)  # padding: log 0, ignored by the softmax
        own = F.leaky_relu(own + target, self.slope)
        attention = torch.softmax(torch.cat([scores, own], dim=1), dim=1)  # [B, K + 1, H]
        others, own = attention[:, :-1], attention[:, -1:]
        summed = others.transpose(1, 2) @ rows + own.transpose(1, 2) * h.unsqueeze(1)  # [B, H, d]
        return self.finish(h, self.mapped(summed))

    def mapped(self, summed: Tensor) -> Tensor:
        """The linear map of each head and the bias; [B, H, d] → [B, H c]."""
        mapped = (summed.transpose(0, 1) @ self.maps).transpose(0, 1).flatten(1)
        return mapped + cast(Tensor, self.layer.conv.bias)


class ProjectBlock(nn.Module):
    """The map of a GAT layer for `understudy.graph.layers.attention`: h [B, d] → [B, d' + 2 H]."""

    map: Tensor  # [d, d' + 2 H]

    def __init__(self, gat: GatBlock) -> None:
        super().__init__()
        maps = gat.maps.transpose(0, 1).flatten(1)  # [d, H c]
        self.register_buffer("map", torch.cat([maps, gat.both], dim=1))

    def forward(self, h: Tensor) -> Tensor:
        return h @ self.map


class AttendedBlock(nn.Module):
    """The rest of a GAT layer, for neighbours that attention has already summed."""

    def __init__(self, gat: GatBlock) -> None:
        super().__init__()
        self.gat = gat

    def forward(self, h: Tensor, aggregated: Tensor) -> Tensor:
        return self.gat.finish(h, aggregated + cast(Tensor, self.gat.layer.conv.bias))


class MlpBlock(LayerBlock):
    """A layer that reads no edges."""

    def forward(self, h: Tensor) -> Tensor:
        return self.finish(h, self.layer.conv(h))


def gathered_sum(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """table [M, d], index and weight [B, K] → [B, d], as one batched product."""
    return torch.matmul(weight.unsqueeze(1), F.embedding(index, table)).squeeze(1)


LINEAR: dict[str, type[LinearBlock]] = {"sage": SageBlock, "gcn": GcnBlock, "gin": GinBlock}
AGGREGATED = ("mean", "sum", "symmetric")  # weightings that do not depend on the activations


def weighting_of(kind: str) -> Weighting:
    """The neighbourhood weighting of a kind of student.

    Raises:
        ExportError: it has no form that can be served.
        TrainingError: there is no such kind.
    """
    weighting = STUDENTS[kind].weighting
    if weighting is None:
        raise ExportError(
            f"a student of the kind {kind!r} cannot be exported: it was registered without a "
            "weighting of neighbours, which is how layers are served (docs/guides/extending.md)"
        )
    return weighting


def layer_blocks(student: Student) -> list[nn.Module]:
    """The gathering blocks of all layers, in order; the last one holds the head."""
    weighting = weighting_of(student.config.kind)
    if weighting not in AGGREGATED:
        return list(make_blocks(student, GatBlock if weighting == "mask" else MlpBlock))
    gathering = SelfGatheringBlock if weighting == "symmetric" else GatheringBlock
    return [gathering(cast(LinearBlock, dense)).eval() for dense in dense_blocks(student)]


def dense_blocks(student: Student) -> list[nn.Module]:
    """The blocks of all layers for aggregated neighbours; empty if no neighbours are read."""
    weighting = weighting_of(student.config.kind)
    if weighting == "mask":
        return [AttendedBlock(cast(GatBlock, gat)).eval() for gat in make_blocks(student, GatBlock)]
    make = LINEAR.get(student.config.kind, RegisteredBlock)
    return list(make_blocks(student, make)) if weighting in AGGREGATED else []


def project_blocks(student: Student) -> list[nn.Module]:
    """GAT's maps of single rows; empty for other kinds."""
    if student.config.kind != "gat":
        return []
    return [ProjectBlock(cast(GatBlock, gat)).eval() for gat in make_blocks(student, GatBlock)]


def make_blocks(student: Student, make: type[LayerBlock]) -> list[LayerBlock]:
    last = len(student.layers) - 1
    return [
        make(cast(MessageLayer, layer), student.head if number == last else None).eval()
        for number, layer in enumerate(student.layers)
    ]
