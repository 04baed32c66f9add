"""Separates the few channels that are too large to share an 8-bit scale with the others.

Some channels of a transformer are many times larger than all others (arXiv 2208.07339). A common
scale then leaves no precision for the small ones. Here the largest channels, found on sample texts,
are moved to the end and get separate products, which stay in fp32. Reordering channels does not
change the function.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from export.encoder.block import EncoderBlock, EncoderLayer

OUTLIERS = 8  # number of separated channels; a handful of MiniLM's are 3 to 10 times the next


def set_outliers_apart(block: EncoderBlock, token_ids: Sequence[Sequence[int]]) -> None:
    """Splits a block's products by the inputs they have on some texts (at least one)."""
    layers = [cast(EncoderLayer, layer) for layer in block.layers]
    streams = [module for layer in layers for module in (layer.attend, layer.up)]
    largest = largest_inputs(block, token_ids, [*streams, *(layer.down for layer in layers)])
    reorder_stream(block, outliers_last(torch.stack(largest[: len(streams)]).amax(0)))
    for layer, values in zip(layers, largest[len(streams) :], strict=True):
        reorder_inner(layer, outliers_last(values))
        split_products(layer)


@torch.inference_mode()
def largest_inputs(
    block: EncoderBlock, token_ids: Sequence[Sequence[int]], modules: Sequence[nn.Module]
) -> list[Tensor]:
    """The largest absolute value of each input channel of some modules, [in] per module."""
    largest = [torch.zeros(1) for _ in modules]
    hooks = []
    for number, module in enumerate(modules):

        def keep(module: nn.Module, inputs: tuple[Tensor, ...], number: int = number) -> None:
            largest[number] = torch.maximum(largest[number], inputs[0].abs().amax((0, 1)))

        hooks.append(module.register_forward_pre_hook(keep))
    for ids in token_ids:
        block(torch.tensor([list(ids)]), torch.ones(1, len(ids), dtype=torch.int64))
    for hook in hooks:
        hook.remove()
    return largest


def outliers_last(largest: Tensor) -> Tensor:
    """The channels' indices, with those of the largest values at the end."""
    outliers = largest.argsort(descending=True)[:OUTLIERS]
    rest = torch.ones(len(largest), dtype=torch.bool)
    rest[outliers] = False
    return torch.cat([torch.arange(len(largest))[rest], outliers])


def reorder_stream(block: EncoderBlock, order: Tensor) -> None:
    """Reorders the channels that all layers read and add to."""
    block.words = nn.Parameter(block.words.detach()[:, order])
    block.positions = block.positions[:, order]
    block.norm = reordered_norm(block.norm, order)
    block.restore = Restore(order.argsort())
    for layer in (cast(EncoderLayer, layer) for layer in block.layers):
        for name in ("attend", "up"):
            setattr(layer, name, selected(getattr(layer, name), columns=order))
        for name in ("out", "down"):
            setattr(layer, name, selected(getattr(layer, name), rows=order))
        layer.attention_norm = reordered_norm(layer.attention_norm, order)
        layer.norm = reordered_norm(layer.norm, order)


def reorder_inner(layer: EncoderLayer, order: Tensor) -> None:
    """Reorders the channels inside a layer's feed-forward network."""
    layer.up = selected(cast(nn.Linear, layer.up), rows=order)
    layer.down = selected(cast(nn.Linear, layer.down), columns=order)


def split_products(layer: EncoderLayer) -> None:
    """Gives the last OUTLIERS channels separate products."""
    for name in ("attend", "up", "down"):
        setattr(layer, name, SplitLinear(getattr(layer, name)))
    layer.stream, layer.inner = SplitLast(), SplitLast()


class SplitLast(nn.Module):
    """Splits x [..., d] into all but the last OUTLIERS channels, and those."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        many, few = x.split([x.shape[-1] - OUTLIERS, OUTLIERS], dim=-1)
        return many, few


class SplitLinear(nn.Module):
    """A linear map of the output of `SplitLast`."""

    few: Tensor  # [OUTLIERS, out]

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        cut = linear.in_features - OUTLIERS
        self.many = selected(linear, columns=torch.arange(cut))
        self.register_buffer("few", linear.weight.detach()[:, cut:].T.contiguous())

    def forward(self, parts: tuple[Tensor, Tensor]) -> Tensor:
        result: Tensor = self.many(parts[0]) + parts[1] @ self.few
        return result


class Restore(nn.Module):
    """Reorders the channels of x [B, d] by `order`."""

    order: Tensor  # int64 [d]

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order)

    def forward(self, x: Tensor) -> Tensor:
        return x.index_select(1, self.order)


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


def reordered_norm(norm: nn.Module, order: Tensor) -> nn.LayerNorm:
    original = cast(nn.LayerNorm, norm)
    copy = nn.LayerNorm(len(order), eps=original.eps)
    with torch.no_grad():
        copy.weight.copy_(original.weight[order])
        copy.bias.copy_(original.bias[order])
    return copy
