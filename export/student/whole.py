"""The whole student as one network, from the features of a receptive field to logits.

Its inputs are described in `understudy.graph.layers.receptive_field.Hop`. The layers are those of
`export.student.blocks`; only the sums over neighbours differ, as one node may have several rows.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.student.blocks import (
    AGGREGATED,
    DenseInputBlock,
    GatBlock,
    HashedInputBlock,
    dense_blocks,
    layer_blocks,
    weighting_of,
)
from training.student.network import HashedInput, Student

HOP_INPUTS = ("own", "index", "weight", "more", "pair")


class WholeStudent(nn.Module):
    """Inputs: x [M, dimension], or buckets and weights [M, K]; then every layer's, by layer."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.weighting = weighting_of(student.config.kind)
        hashed = isinstance(student.input, HashedInput)
        self.feature_names = ("buckets", "weights") if hashed else ("x",)
        self.input = HashedInputBlock(student) if hashed else DenseInputBlock(student)
        blocks = dense_blocks(student) if self.weighting in AGGREGATED else layer_blocks(student)
        self.layers = nn.ModuleList(blocks)

    @property
    def hop_names(self) -> tuple[str, ...]:
        """The inputs of each layer, without its number."""
        extra = {"symmetric": ("self_weight",), "mask": ("owner",)}.get(self.weighting, ())
        return () if self.weighting == "none" else (*HOP_INPUTS, *extra)

    @property
    def input_names(self) -> list[str]:
        numbers = range(1, len(self.layers) + 1)
        return [
            *self.feature_names,
            *(f"{n}{number}" for number in numbers for n in self.hop_names),
        ]

    def forward(self, *inputs: Tensor) -> Tensor:
        h = self.input(*inputs[: len(self.feature_names)])
        rest = list(inputs[len(self.feature_names) :])
        for layer in self.layers:
            hop = {name: rest.pop(0) for name in self.hop_names}
            h = layer(h) if self.weighting == "none" else self.step(layer, h, hop)
        return cast(Tensor, h)

    def step(self, layer: nn.Module, below: Tensor, hop: dict[str, Tensor]) -> Tensor:
        h = F.embedding(hop["own"], below)  # [n, d]
        rows = F.embedding(hop["index"], below)  # [R, K, d]
        if self.weighting == "mask":
            return attend(cast(GatBlock, layer), h, rows, hop)
        sums = torch.matmul(hop["weight"].unsqueeze(1), rows).squeeze(1)  # [R, d]
        total = of_nodes(sums, hop).sum(1)
        if "self_weight" in hop:
            total = total + hop["self_weight"] * h
        return cast(Tensor, layer(h, total))


def attend(layer: GatBlock, h: Tensor, rows: Tensor, hop: dict[str, Tensor]) -> Tensor:
    """GAT (arXiv 1710.10903, eq. 3 and 4) with the softmax taken over all rows of a node."""
    own, target = (h @ layer.both).split(layer.heads, dim=1)  # [n, H] each
    own = F.leaky_relu(own + target, layer.slope)
    scores = rows @ layer.source + F.embedding(hop["owner"], target).unsqueeze(1)
    scores = F.leaky_relu(scores, layer.slope) + torch.log(hop["weight"]).unsqueeze(2)  # [R, K, H]
    top = torch.maximum(own, of_nodes(scores.amax(1), hop, largest=True).amax(1))
    shares = torch.exp(scores - F.embedding(hop["owner"], top).unsqueeze(1))  # padding: 0
    own = torch.exp(own - top)  # [n, H]
    values = (shares.transpose(1, 2) @ rows).flatten(1)  # [R, H d]
    summed = of_nodes(values, hop).sum(1).unflatten(1, (layer.heads, h.shape[1]))
    summed = summed + own.unsqueeze(2) * h.unsqueeze(1)  # [n, H, d]
    totals = of_nodes(shares.sum(1), hop).sum(1) + own
    mapped = layer.mapped(summed / totals.unsqueeze(2))
    return layer.finish(h, mapped)


def of_nodes(rows: Tensor, hop: dict[str, Tensor], largest: bool = False) -> Tensor:
    """Combines rows [R, w] per node: its first row, and its further rows taken together.

    Returns [n, 2, w], to be summed, or maximised, over the second axis.
    """
    further = F.embedding(hop["more"], rows)  # [G, P, w]
    further = further.amax(1) if largest else further.sum(1)
    return F.embedding(hop["pair"], torch.cat([rows, further]))
