"""The product of sparse rows and a dense table, fast on processors and differentiable.

The rows are walked a bucket at a time, some thousand rows a block, so that the table is read in
order and a block's results stay in the cache: faster than torch's own product of compressed rows,
which in turn is faster than its embedding bag.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from training.threads import shared_out

BLOCK_ROWS = 4_096
BUCKET_PARTS = 8  # of about equal work, shared out to threads in the backward pass


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A sparse matrix [N, buckets], cut for both passes.

    Shapes:
        blocks: BLOCK_ROWS rows each, compressed by column
        parts: some buckets each, of the transpose, compressed by row
    """

    blocks: tuple[sparse.csc_array, ...]
    parts: tuple[sparse.csr_array, ...]
    shape: tuple[int, int]

    def times(self, table: Tensor) -> Tensor:
        """[buckets, width] → [N, width]."""
        return stacked(self.blocks, table)

    def transposed_times(self, gradient: Tensor) -> Tensor:
        """[N, width] → [buckets, width]."""
        return stacked(self.parts, gradient)


class Rows(Protocol):
    """A matrix [N, buckets] that can be multiplied from both sides."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def times(self, table: Tensor) -> Tensor: ...

    def transposed_times(self, gradient: Tensor) -> Tensor: ...


def sparse_rows(matrix: sparse.csr_array) -> SparseRows:
    """Cuts a float32 matrix [N, buckets]."""
    count, width = matrix.shape
    blocks = tuple(
        matrix[start : start + BLOCK_ROWS].tocsc() for start in range(0, max(count, 1), BLOCK_ROWS)
    )
    transposed = matrix.T.tocsr()
    shares = np.linspace(0, transposed.nnz, BUCKET_PARTS + 1)[1:-1]
    cuts = [0, *np.searchsorted(transposed.indptr, shares).tolist(), width]
    parts = tuple(transposed[start:end] for start, end in pairwise(cuts))
    return SparseRows(blocks, parts, (count, width))


class Product(torch.autograd.Function):
    """`rows @ table`, differentiable in the table."""

    @staticmethod
    def forward(ctx: Any, rows: Rows, table: Tensor) -> Tensor:
        ctx.rows = rows
        return rows.times(table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, ctx.rows.transposed_times(gradients[0])


def stacked(pieces: Sequence[Any], dense: Tensor) -> Tensor:
    """The pieces' products with a dense matrix, one below the other; torch's threads share them."""
    values = np.ascontiguousarray(dense.detach().numpy())

    def multiply(piece: Any) -> NDArray[np.float32]:
        product: NDArray[np.float32] = piece @ values
        return product

    products = shared_out(multiply, pieces)
    return torch.from_numpy(products[0] if len(products) == 1 else np.concatenate(products))


def sparse_product(rows: Rows, table: Tensor) -> Tensor:
    """`rows @ table`, [N, width]; both are float32 and on one device."""
    product: Tensor = Product.apply(rows, table)  # type: ignore[no-untyped-call]
    return product
