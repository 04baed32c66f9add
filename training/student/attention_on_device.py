"""The weighted sum of graph attention on an accelerator, also without storing all messages."""

from typing import Any

import torch
from torch import Tensor

from training.data import Attended
from training.encoders.features import multiplied

PAIRS_AT_ONCE = 2**20  # number whose gathered rows are stored


class SumOnDevice(torch.autograd.Function):
    """Like `training.student.attention.WeightedSum`: [P, H] and [N, H, C] → [N, H, C].

    Differentiable in the weights and the rows; on a CPU it gives the same result more slowly.
    """

    @staticmethod
    def forward(ctx: Any, pairs: Attended, weights: Tensor, rows: Tensor) -> Tensor:
        ctx.pairs = pairs
        ctx.save_for_backward(weights, rows)
        starts = torch.from_numpy(pairs.indptr).to(rows.device)
        return summed(starts, pairs.sources, weights, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:
        weights, rows = ctx.saved_tensors
        pairs, (gradient,) = ctx.pairs, gradients
        order = torch.argsort(pairs.sources, stable=True)
        counts = torch.bincount(pairs.sources, minlength=len(rows))
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        of_rows = summed(starts, pairs.targets[order], weights[order], gradient)
        of_weights = torch.empty_like(weights)
        for own in torch.arange(len(weights), device=rows.device).split(PAIRS_AT_ONCE):
            products = gradient[pairs.targets[own]] * rows[pairs.sources[own]]  # [B, H, C]
            of_weights[own] = products.sum(2)
        return None, of_weights, of_rows


def summed(starts: Tensor, columns: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Each row's sum of weight times the column's row, head by head.

    Shapes:
        starts: int [N + 1]; columns: int64 [P]; weights: [P, H]; rows: [N, H, C]
        returns: [N, H, C]
    """
    size = (len(rows), len(rows))
    parts = [
        multiplied(
            torch.sparse_csr_tensor(starts.int(), columns.int(), own, size, check_invariants=False),
            head.contiguous(),
        )
        for own, head in zip(weights.detach().T.contiguous(), rows.unbind(1), strict=True)
    ]
    return torch.stack(parts, dim=1)
