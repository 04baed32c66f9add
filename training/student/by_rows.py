"""Row-wise computations of a student, some thousand rows at a time, so that a block of rows stays
in the CPU's caches from the first operator to the last.

On a large graph, a step stores only its input and the sums over neighbours, and recomputes the rest
for the gradient, in a third of the memory that autograd would take (activation checkpointing, arXiv
1604.06174). On a small graph everything is stored, which is faster.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from training.data import Product
from training.memory import KEPT_NUMBERS

BLOCK_ROWS = 1_024  # at 256 numbers each: 1 MiB, which fits a core's own cache
DEVICE_ROWS = 262_144  # larger on an accelerator, where launching an operator costs more
SEEDS = 2**62
HEAD_BLOCKS = 2**31  # offset between both dropouts' seeds; blocks are counted in 32 bits

Rowwise = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True, slots=True)
class Work:
    """Dropout on every row, an optional sum over neighbours, and the operators that follow.

    Attributes:
        apply: of some rows and their aggregated neighbours, both [B, d]; must be stateless and
            deterministic
        weights: the parameters that `apply` reads
        probability: of the dropout; 0 outside of training
        seed: of the dropout, which is drawn again per block for the gradient
        head: applied after a second dropout of the same probability, or None
        mixed: whether `apply` and the head run under autocast in bfloat16; their results are cast
            back
        first: number of leading rows whose results are needed; None: all
    """

    apply: Rowwise
    weights: tuple[nn.Parameter, ...]
    product: Product | None = None
    probability: float = 0.0
    seed: int = 0
    head: nn.Module | None = None
    mixed: bool = False
    first: int | None = None

    def dropped(self, h: Tensor, number: int, rows: slice) -> Tensor:
        """A block's rows after the dropout."""
        own = h[rows]
        return self.drop(own.clone(), number) if self.probability else own

    def drop(self, own: Tensor, number: int) -> Tensor:
        """Drops a block's entries in place, and scales the rest.

        Four 16-bit choices are drawn at once, because drawing dominates the cost of dropout here.
        """
        generator = torch.Generator(own.device).manual_seed(self.seed + number)
        drawn = torch.empty(-(-own.numel() // 4), dtype=torch.int64, device=own.device)
        drawn.random_(-(2**63), None, generator=generator)
        choices = drawn.view(torch.int16)[: own.numel()].view(own.shape)
        fewest = round(self.probability * 2**16) - 2**15
        return own.masked_fill_(choices < fewest, 0).mul_(1 / (1 - self.probability))

    def dropped_all(self, h: Tensor) -> Tensor:
        """All rows after the dropout."""
        if not self.probability:
            return h
        result = torch.empty_like(h)
        for number, rows in blocks(h):
            result[rows] = self.dropped(h, number, rows)
        return result

    def output(self, own: Tensor, sums: Tensor | None, number: int, rows: slice) -> Tensor:
        """The output of a block's rows; `sums` are those of the same rows."""
        scaled = sums if self.product is None else self.product.scaled(cast(Tensor, sums), rows)
        if not self.mixed:
            return self.applied(own, scaled, number)
        # Cast weights are not cached: gradients would not reach those that were cast without one.
        with torch.autocast(own.device.type, torch.bfloat16, cache_enabled=False):
            return self.applied(own, scaled, number).to(own.dtype)

    def applied(self, own: Tensor, scaled: Tensor | None, number: int) -> Tensor:
        output = self.apply(own, scaled)
        if self.head is None:
            return output
        if self.probability:
            output = self.drop(output.clone(), number + HEAD_BLOCKS)
        logits: Tensor = self.head(output)
        return logits


def blocks(h: Tensor, first: int | None = None) -> Iterator[tuple[int, slice]]:
    """Slices of all rows, or of the leading ones, some thousand at a time."""
    size = BLOCK_ROWS if h.device.type == "cpu" else DEVICE_ROWS
    total = len(h) if first is None else first
    for number, start in enumerate(range(0, total, size)):
        yield number, slice(start, min(start + size, total))


def by_rows(
    apply: Rowwise,
    module: nn.Module,
    h: Tensor,
    product: Product | None = None,
    probability: float = 0.0,
    head: nn.Module | None = None,
    first: int | None = None,
) -> Tensor:
    """Applies `apply` and the head to all rows; differentiable in `h` and in the parameters.

    Args:
        first: number of leading rows to compute; the others are only neighbours. None: all

    Shapes:
        h: [N, d]
        returns: [N, d'], or [first, d']
    """
    seed = int(torch.randint(SEEDS, ())) if probability else 0
    weights = (*module.parameters(), *(head.parameters() if head else ()))
    mixed = torch.is_autocast_enabled(h.device.type)
    work = Work(apply, weights, product, probability, seed, head, mixed, first)
    output: Tensor = ByRows.apply(work, h, *weights)  # type: ignore[no-untyped-call]
    return output


def of_nodes(
    apply: Rowwise, h: Tensor, nodes: Tensor, product: Product | None, head: nn.Module
) -> Tensor:
    """`by_rows` for some nodes (int64 [B]), without dropout and without a gradient.

    Args:
        product: limited to the nodes
    """
    sums = None if product is None else product.sums(h)
    return run(Work(apply, (), product, head=head), h[nodes], sums)


class ByRows(torch.autograd.Function):
    """`by_rows` as an autograd function; supports a single backward pass."""

    @staticmethod
    def forward(ctx: Any, work: Work, h: Tensor, *weights: Tensor) -> Tensor:
        sums, whole = None, None
        if work.product is not None:
            whole = work.dropped_all(h)
            sums = work.product.sums(whole)
        ctx.work, ctx.sums, ctx.kept = work, sums, []
        ctx.save_for_backward(h)
        if not ctx.needs_input_grad[1:].count(True) or h.numel() > KEPT_NUMBERS:
            return run(work, h, sums, whole)
        for number, rows in blocks(h, work.first):
            own = work.dropped(h, number, rows) if whole is None else whole[rows]
            ctx.kept.append(block_of(work, own, sums, number, rows, ctx.needs_input_grad[1]))
        return torch.cat([block.output.detach() for block in ctx.kept])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (h,) = ctx.saved_tensors
        work, sums, kept, product = ctx.work, ctx.sums, ctx.kept, ctx.work.product
        ctx.sums, ctx.kept = None, None
        # Gradients overwrite the sums block by block, unless kept blocks still read them.
        of_sums = torch.empty_like(sums) if kept and sums is not None else sums
        needed = ctx.needs_input_grad[1]
        own_gradient = torch.empty_like(h) if needed else None
        if own_gradient is not None and work.first is not None:
            own_gradient[work.first :] = 0
        totals: list[Tensor | None] = [None] * len(work.weights)
        for number, rows in blocks(h, work.first):
            if kept:
                block = kept[number]
            else:
                own = work.dropped(h, number, rows)
                block = block_of(work, own, sums, number, rows, needed)
            found = block_gradients(work, block, gradients[0][rows], needed)
            totals = [added(*pair) for pair in zip(totals, found.weights, strict=True)]
            if own_gradient is not None:
                own_gradient[rows] = found.own
            if of_sums is not None:
                of_sums[rows] = found.sums
        if own_gradient is not None:
            if product is not None:
                product.add_transposed(own_gradient, of_sums)
            if work.probability:
                for number, rows in blocks(h):
                    work.drop(own_gradient[rows], number)
        return None, own_gradient, *totals


def added(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    """The sum, computed in the first one's memory; None counts as zero."""
    if total is None or part is None:
        return part if total is None else total
    return total.add_(part)


@dataclass(frozen=True, slots=True)
class Block:
    """One block's rows after the dropout, their neighbours' sums, and the output of both."""

    own: Tensor
    near: Tensor | None
    output: Tensor


def block_of(
    work: Work, own: Tensor, sums: Tensor | None, number: int, rows: slice, needed: bool
) -> Block:
    """A block with its autograd graph; `needed`: whether the rows need a gradient."""
    with torch.enable_grad():
        own = own.detach().requires_grad_(needed)
        near = None if sums is None else sums[rows].detach().requires_grad_()
        return Block(own, near, work.output(own, near, number, rows))


@dataclass(frozen=True, slots=True)
class BlockGradients:
    """One block's gradients with respect to its rows, its neighbours' sums, and the weights."""

    own: Tensor
    sums: Tensor
    weights: list[Tensor | None]


def block_gradients(work: Work, block: Block, gradient: Tensor, needed: bool) -> BlockGradients:
    inputs = [block.own] * needed + ([] if block.near is None else [block.near])
    leaves = [*inputs, *work.weights]
    gradients = torch.autograd.grad(block.output, leaves, gradient, allow_unused=True)
    of_inputs = [
        torch.zeros_like(tensor) if part is None else part
        for tensor, part in zip(inputs, gradients, strict=False)
    ]
    nothing = gradient.new_empty(0)
    return BlockGradients(
        own=of_inputs[0] if needed else nothing,
        sums=nothing if block.near is None else of_inputs[-1],
        weights=list(gradients[len(inputs) :]),
    )


def run(work: Work, h: Tensor, sums: Tensor | None, whole: Tensor | None = None) -> Tensor:
    """The rows' outputs, block by block; `whole` is h after the dropout, if known."""
    result: Tensor | None = None
    for number, rows in blocks(h, work.first):
        own = work.dropped(h, number, rows) if whole is None else whole[rows]
        output = work.output(own, None if sums is None else sums[rows], number, rows)
        if result is None:
            result = output.new_empty(len(h) if work.first is None else work.first, output.shape[1])
        result[rows] = output
    assert result is not None  # there is at least one block
    return result


def dropout(x: Tensor, probability: float, training: bool) -> Tensor:
    """Torch's dropout, three times faster on CPUs, where torch draws its mask serially."""
    if not training or not probability:
        return x
    kept = (torch.rand_like(x) >= probability).to(x.dtype)
    return x * kept.mul_(1 / (1 - probability))
