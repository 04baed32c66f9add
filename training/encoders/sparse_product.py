"""The product of sparse rows and a dense table, fast on processors and differentiable.

The rows are cut into blocks of some thousand, which are walked a bucket at a time: so both passes
go through the table in order, and a block's rows of the other side stay in the cache. Forward that
is faster than torch's own product of compressed rows, which is faster than its embedding bag. On
the way back, where a bucket's sum is made at once, torch's product is, some buckets at a time.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from training.sparse_tensors import csr_tensor, multiplied
from training.threads import shared_out

BLOCK_ROWS = 4_096
STRIP_BUCKETS = 16_384  # whose gradient is summed up over the blocks before the next strip's


@dataclass(frozen=True)
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

    @cached_property
    def strips(self) -> list[list[Tensor]]:
        """Of every STRIP_BUCKETS each block's rows of the transposed matrix, sparse CSR."""
        starts = range(0, self.shape[1], STRIP_BUCKETS)
        whole = [block.T for block in self.blocks]
        return [[csr_tensor(part_of(m, k, k + STRIP_BUCKETS)) for m in whole] for k in starts]

    def transposed_times(self, gradient: Tensor) -> Tensor:
        """[N, width] → [buckets, width]; torch's threads share the buckets."""
        values = gradient.detach().contiguous().split(BLOCK_ROWS)
        total = gradient.new_zeros(self.shape[1], gradient.shape[1])
        for sums, strip in zip(total.split(STRIP_BUCKETS), self.strips, strict=True):
            for matrix, own in zip(strip, values, strict=True):
                sums += multiplied(matrix, own)
        return total


class Rows(Protocol):
    """A matrix [N, buckets] that can be multiplied from both sides."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def times(self, table: Tensor) -> Tensor: ...

    def transposed_times(self, gradient: Tensor) -> Tensor: ...


def sparse_rows(matrix: sparse.csr_array) -> SparseRows:
    """Cuts a float32 matrix [N, buckets]."""
    starts = range(0, max(matrix.shape[0], 1), BLOCK_ROWS)
    blocks = tuple(part_of(matrix, start, start + BLOCK_ROWS).tocsc() for start in starts)
    return SparseRows(blocks, matrix.shape)


def part_of(matrix: sparse.csr_array, first: int, end: int) -> sparse.csr_array:
    """The rows from `first` to before `end`; nothing large is copied."""
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
