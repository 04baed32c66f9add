"""Setting apart the few channels that 8 bits cannot hold beside the others.

Some inner channels of a transformer are many times larger than all others (arXiv 2208.07339). One
scale for a whole row then leaves nothing for the small ones. Here the largest channels, found on
sample texts, get a product of their own, which stays in fp32; the function is the same.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from export.encoder_block import EncoderBlock, EncoderLayer

OUTLIERS = 32  # inner channels a layer: of MiniLM's, two or three are 3 to 5 times the next


def set_outliers_apart(block: EncoderBlock, token_ids: Sequence[Sequence[int]]) -> None:
    """Splits every layer's last product by what the texts (at least one) make of its inputs."""
    for layer, largest in zip(block.layers, largest_values(block, token_ids), strict=True):
        split_layer(cast(EncoderLayer, layer), largest.argsort(descending=True)[:OUTLIERS])


@torch.inference_mode()
def largest_values(block: EncoderBlock, token_ids: Sequence[Sequence[int]]) -> list[Tensor]:
    """The largest absolute value of every inner channel, [inner] a layer."""
    largest = [torch.zeros(1) for _ in block.layers]
    hooks = []
    for number, layer in enumerate(block.layers):

        def keep(module: nn.Module, inputs: object, out: Tensor, number: int = number) -> None:
            values = F.gelu(out).abs().amax((0, 1))
            largest[number] = torch.maximum(largest[number], values)

        hooks.append(cast(EncoderLayer, layer).up.register_forward_hook(keep))
    for ids in token_ids:
        block(torch.tensor([list(ids)]), torch.ones(1, len(ids), dtype=torch.int64))
    for hook in hooks:
        hook.remove()
    return largest


def split_layer(layer: EncoderLayer, outliers: Tensor) -> None:
    """Reorders the inner channels, outliers last, and splits the product that reads them."""
    up, down = cast(nn.Linear, layer.up), cast(nn.Linear, layer.down)
    rest = torch.ones(up.out_features, dtype=torch.bool)
    rest[outliers] = False
    order = torch.cat([torch.arange(up.out_features)[rest], outliers])
    layer.up = selected(up, rows=order)
    layer.down = SplitLinear(down, order, len(outliers))


class SplitLinear(nn.Module):
    """A linear map of channels that come in `order`, the last `count` in a product of their own."""

    def __init__(self, linear: nn.Linear, order: Tensor, count: int) -> None:
        super().__init__()
        cut = len(order) - count
        self.sizes = [cut, count]
        self.many = selected(linear, columns=order[:cut])
        self.register_buffer("few", linear.weight.detach()[:, order[cut:]].T.contiguous())

    few: Tensor  # [count, out]

    def forward(self, x: Tensor) -> Tensor:
        many, few = x.split(self.sizes, dim=-1)
        result: Tensor = self.many(many) + few @ self.few
        return result


def selected(
    linear: nn.Linear, rows: Tensor | None = None, columns: Tensor | None = None
) -> nn.Linear:
    """A copy with some of its outputs and inputs, in that order."""
    weight, bias = linear.weight.detach(), linear.bias.detach()
    if rows is not None:
        weight, bias = weight[rows], bias[rows]
    if columns is not None:
        weight = weight[:, columns]
    copy = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        copy.weight.copy_(weight)
        copy.bias.copy_(bias)
    return copy
