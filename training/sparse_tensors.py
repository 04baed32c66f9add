"""Sparse matrices, between scipy and torch."""

import warnings

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


def csr_tensor(matrix: sparse.csr_array) -> Tensor:
    """A scipy CSR matrix as a torch one; they share what has the right type and may be written."""
    index = np.int32 if max(matrix.nnz, *matrix.shape) < 2**31 else np.int64
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(np.require(matrix.indptr, index, "W")),
            torch.from_numpy(np.require(matrix.indices, index, "W")),
            torch.from_numpy(np.require(matrix.data, np.float32, "W")),
            size=matrix.shape,
            check_invariants=False,
        )


def scipy_matrix(matrix: Tensor) -> sparse.csr_array:
    """The other way round."""
    parts = matrix.values(), matrix.col_indices(), matrix.crow_indices()
    rows, columns = matrix.shape
    return sparse.csr_array(tuple(part.cpu().numpy() for part in parts), (rows, columns))


def multiplied(matrix: Tensor, dense: Tensor) -> Tensor:
    """The product of a sparse CSR matrix [B, N] and a dense one [N, d], in their own precision."""
    with torch.autocast(dense.device.type, enabled=False):
        if dense.device.type != "cpu":
            return matrix @ dense
        summed: Tensor = torch.sparse.mm(matrix, dense, reduce="sum")  # a third faster than that
        return summed
