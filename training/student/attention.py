"""Graph attention that never stores its messages, for training on CPUs.

PyG's `GATConv` gathers a message for every edge and head, [P, H, C], several times per step. Here
the weighted sum is a sparse product, and so are its gradients.
"""

from operator import matmul
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from training.data import Attended
from training.student.attention_on_device import SumOnDevice
from training.student.convolutions import GATConv
from training.student.pyg import softmax
from training.threads import shared_out

BLOCK_EDGES = 2_048  # number whose gathered rows stay in the cache

Floats = NDArray[np.floating]


def attention(conv: GATConv, h: Tensor, pairs: Attended) -> Tensor:
    """The output of `conv` on the graph (GAT, arXiv 1710.10903, equations 3 to 5).

    Shapes:
        h: [N, dimension]
        returns: [N, heads * channels]
    """
    heads = conv.lin(h).to(h.dtype).view(-1, conv.heads, conv.out_channels)
    source, target = ((heads * vector).sum(-1) for vector in (conv.att_src, conv.att_dst))
    scores = F.leaky_relu(source[pairs.sources] + target[pairs.targets], conv.negative_slope)
    weights = softmax(scores, pairs.targets, num_nodes=len(h))
    return weighted_sum(pairs, weights, heads).flatten(1) + cast(Tensor, conv.bias)


def weighted_sum(pairs: Attended, weights: Tensor, rows: Tensor) -> Tensor:
    """`WeightedSum` as a function; on an accelerator its equivalent `SumOnDevice`."""
    kind = WeightedSum if rows.device.type == "cpu" else SumOnDevice
    sums: Tensor = kind.apply(pairs, weights, rows)  # type: ignore[no-untyped-call]
    return sums


class WeightedSum(torch.autograd.Function):
    """Σ over a target's pairs of weight times the source's row: [P, H] and [N, H, C] → [N, H, C].

    Differentiable in the weights and the rows.
    """

    @staticmethod
    def forward(ctx: Any, pairs: Attended, weights: Tensor, rows: Tensor) -> Tensor:
        ctx.pairs = pairs
        ctx.save_for_backward(weights, rows)
        matrices, columns = by_head(pairs, weights), list(split_heads(rows))
        return join_heads(shared_out(matmul, matrices, columns))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, Tensor]:
        weights, rows = ctx.saved_tensors
        columns, sums = list(split_heads(rows)), list(split_heads(gradients[0]))
        transposed = [matrix.T for matrix in by_head(ctx.pairs, weights)]
        sources, targets = ctx.pairs.sources.numpy(), ctx.pairs.targets.numpy()

        def dot(mine: Floats, theirs: Floats) -> Floats:
            return pair_products(mine, theirs, targets, sources)

        return (
            None,
            torch.from_numpy(np.stack(shared_out(dot, sums, columns), axis=1)),
            join_heads(shared_out(matmul, transposed, sums)),
        )


def pair_products(
    left: Floats, right: Floats, i: NDArray[np.int64], j: NDArray[np.int64]
) -> Floats:
    """left[i] · right[j] for every pair; left and right are [N, C], i and j [P]."""
    products = np.empty(len(i), left.dtype)
    for start in range(0, len(i), BLOCK_EDGES):
        part = slice(start, start + BLOCK_EDGES)
        np.einsum("pc,pc->p", left[i[part]], right[j[part]], out=products[part])
    return products


def by_head(pairs: Attended, weights: Tensor) -> list[sparse.csr_array]:
    """One matrix [N, N] per head."""
    indices = pairs.sources.numpy().astype(np.int32)
    size = (len(pairs.indptr) - 1,) * 2
    columns = np.ascontiguousarray(weights.detach().numpy().T)
    return [sparse.csr_array((column, indices, pairs.indptr), size) for column in columns]


def split_heads(rows: Tensor) -> Floats:
    """[N, H, C] → [H, N, C]."""
    return np.ascontiguousarray(rows.detach().numpy().swapaxes(0, 1))


def join_heads(heads: list[Floats]) -> Tensor:
    """H times [N, C] → [N, H, C]."""
    return torch.from_numpy(np.stack(heads, axis=1))
