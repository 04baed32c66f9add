"""The product of sparse rows and a dense table, fast on CPUs and differentiable.

The rows are cut into blocks of some thousand, which are traversed bucket by bucket. So both passes
read their table in order, and a block's rows on the other side stay in the cache. That is faster
than torch's own product of compressed rows, which in turn is faster than its embedding bag.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from training.threads import shared_out

BLOCK_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class SparseRows:
    """A sparse matrix [N, buckets], as blocks of BLOCK_ROWS rows, each compressed by column."""

    blocks: tuple[sparse.csc_array, ...]
    shape: tuple[int, int]

    def times(self, table: Tensor) -> Tensor:
        """[buckets, width] → [N, width]; torch's threads share the blocks."""
        values = np.ascontiguousarray(table.detach().numpy())

        def multiply(block: sparse.csc_array) -> NDArray[np.float32]:
            product: NDArray[np.float32] = block @ values
            return product

        products = shared_out(multiply, self.blocks)
        return torch.from_numpy(products[0] if len(products) == 1 else np.concatenate(products))

    def transposed_times(self, gradient: Tensor) -> Tensor:
        """[N, width] → [buckets, width]; torch's threads share the buckets."""
        values = np.ascontiguousarray(gradient.detach().numpy())
        total = np.zeros((self.shape[1], values.shape[1]), np.float32)

        def add(first: int, end: int) -> None:
            for number, block in enumerate(self.blocks):
                buckets, rows = transposed(block, first, end)
                start = number * BLOCK_ROWS
                total[buckets] += rows @ values[start : start + BLOCK_ROWS]

        cuts = self.cuts(torch.get_num_threads())
        shared_out(add, cuts[:-1], cuts[1:])
        return torch.from_numpy(total)

    def cuts(self, parts: int) -> list[int]:
        """Boundaries of ranges of buckets that are about equal work."""
        before = np.stack([block.indptr for block in self.blocks]).sum(axis=0, dtype=np.int64)
        shares = np.linspace(0, before[-1], parts + 1)[1:-1]
        return [0, *np.searchsorted(before, shares).tolist(), self.shape[1]]


def transposed(
    block: sparse.csc_array, first: int, end: int
) -> tuple[NDArray[np.int64], sparse.csr_array]:
    """The buckets from `first` to `end` that a block has, and their rows; nothing is copied."""
    starts = block.indptr[first : end + 1]
    buckets = np.flatnonzero(np.diff(starts))
    own = slice(starts[0], starts[-1])
    indptr = np.append(starts[buckets], starts[-1]) - starts[0]
    shape = len(buckets), block.shape[0]
    return buckets + first, sparse.csr_array((block.data[own], block.indices[own], indptr), shape)


class Rows(Protocol):
    """A matrix [N, buckets] that can be multiplied from both sides."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def times(self, table: Tensor) -> Tensor: ...

    def transposed_times(self, gradient: Tensor) -> Tensor: ...


def sparse_rows(matrix: sparse.csr_array) -> SparseRows:
    """Splits a float32 matrix [N, buckets] into blocks."""
    starts = range(0, max(matrix.shape[0], 1), BLOCK_ROWS)
    blocks = tuple(part_of(matrix, start, start + BLOCK_ROWS).tocsc() for start in starts)
    return SparseRows(blocks, matrix.shape)


def part_of(matrix: sparse.csr_array, first: int, end: int) -> sparse.csr_array:
    """The rows from `first` up to `end`, exclusive; nothing large is copied."""
    indptr = matrix.indptr[first : end + 1]
    own = slice(indptr[0], indptr[-1])
    shape = len(indptr) - 1, matrix.shape[1]
    return sparse.csr_array((matrix.data[own], matrix.indices[own], indptr - indptr[0]), shape)


class Product(torch.autograd.Function):
    """`rows @ table`, differentiable in the table."""

    @staticmethod
    def forward(ctx: Any, rows: Rows, table: Tensor) -> Tensor:
        ctx.rows = rows
        return rows.times(table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        return None, ctx.rows.transposed_times(gradients[0])


def sparse_product(rows: Rows, table: Tensor) -> Tensor:
    """`rows @ table`, [N, width]; both are float32 and on one device."""
    product: Tensor = Product.apply(rows, table)  # type: ignore[no-untyped-call]
    return product
