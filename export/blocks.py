"""The student without scatter: padded neighbourhoods in, dense products out.

A layer reads, for B nodes with at most K neighbours each, the nodes' own activations, a table of
activations, and `graph.neighborhoods.Block`'s index and weights. Padding has weight 0. Each block
shares its parameters with the trained layer and computes the same function.

Shapes, for every layer block:
    h: float32 [B, d]; table: float32 [M, d]; index: int64 [B, K]
    weight: float32 [B, K]; self_weight: float32 [B, 1]
    returns: float32 [B, d'], or logits [B, classes] from the last one
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

from training.student import HashedInput, MessageLayer, Student

MASKED = -1e9  # an attention score that the softmax turns into exactly 0


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
        bag = weighted_sum(F.embedding(buckets, self.table), weights)
        return F.relu(self.norm(self.linear(bag)))


class LayerBlock(nn.Module):
    """One message-passing layer; the last one goes on to the logits."""

    def __init__(self, layer: MessageLayer, head: nn.Module | None) -> None:
        super().__init__()
        self.layer, self.head = layer, head

    def finish(self, h: Tensor, updated: Tensor) -> Tensor:
        h = self.layer.finish(h, updated)
        return h if self.head is None else cast(Tensor, self.head(h))


class SageBlock(LayerBlock):
    """GraphSAGE, mean aggregation (arXiv 1706.02216)."""

    def forward(self, h: Tensor, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        conv = cast(SAGEConv, self.layer.conv)
        mean = weighted_sum(table[index], weight)
        return self.finish(h, conv.lin_l(mean) + conv.lin_r(h))


class GcnBlock(LayerBlock):
    """GCN, symmetric normalisation with self-loops (arXiv 1609.02907, eq. 2)."""

    def forward(
        self, h: Tensor, table: Tensor, index: Tensor, weight: Tensor, self_weight: Tensor
    ) -> Tensor:
        conv = cast(GCNConv, self.layer.conv)
        total = weighted_sum(table[index], weight) + self_weight * h
        return self.finish(h, conv.lin(total) + conv.bias)


class GinBlock(LayerBlock):
    """GIN with a learned epsilon (arXiv 1810.00826, eq. 4.1)."""

    def forward(self, h: Tensor, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        conv = cast(GINConv, self.layer.conv)
        return self.finish(h, conv.nn((1 + conv.eps) * h + weighted_sum(table[index], weight)))


class GatBlock(LayerBlock):
    """GAT with self-loops (arXiv 1710.10903, eq. 3 and 4).

    The linear map is applied after the attention-weighted sum, to one row a head instead of one a
    neighbour; the scores need only its products with the attention vectors, [d, heads].
    """

    def forward(self, h: Tensor, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        conv = cast(GATConv, self.layer.conv)
        heads, channels = conv.heads, conv.out_channels
        maps = conv.lin.weight.view(heads, channels, -1)  # [H, c, d]
        source_vector = torch.einsum("hcd,hc->dh", maps, conv.att_src[0])
        target_vector = torch.einsum("hcd,hc->dh", maps, conv.att_dst[0])
        rows = torch.cat([h.unsqueeze(1), table[index]], dim=1)  # [B, 1 + K, d], self first
        scores = rows @ source_vector + (h @ target_vector).unsqueeze(1)  # [B, 1 + K, H]
        present = torch.cat([torch.ones_like(h[:, :1]), weight], dim=1).unsqueeze(-1)
        scores = F.leaky_relu(scores, conv.negative_slope) + (1 - present) * MASKED
        attention = torch.softmax(scores, dim=1)
        summed = attention.transpose(1, 2) @ rows  # [B, H, d]
        mapped = torch.einsum("bhd,hcd->bhc", summed, maps).flatten(1)
        return self.finish(h, mapped + conv.bias)


class MlpBlock(LayerBlock):
    """A layer that reads no edges."""

    def forward(self, h: Tensor) -> Tensor:
        return self.finish(h, self.layer.conv(h))


def weighted_sum(rows: Tensor, weight: Tensor) -> Tensor:
    """rows [B, K, d], weight [B, K] → [B, d], as one batched product."""
    return torch.matmul(weight.unsqueeze(1), rows).squeeze(1)


BLOCKS: dict[str, type[LayerBlock]] = {
    "sage": SageBlock,
    "gcn": GcnBlock,
    "gat": GatBlock,
    "gin": GinBlock,
    "mlp": MlpBlock,
}
WEIGHTINGS = {"sage": "mean", "gcn": "symmetric", "gat": "mask", "gin": "sum", "mlp": "none"}


def layer_blocks(student: Student) -> list[LayerBlock]:
    """The blocks of all layers, in order; the last one holds the head."""
    make = BLOCKS[student.config.kind]
    last = len(student.layers) - 1
    return [
        make(cast(MessageLayer, layer), student.head if number == last else None).eval()
        for number, layer in enumerate(student.layers)
    ]
