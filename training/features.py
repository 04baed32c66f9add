"""Node features as the student's input layer reads them: dense embeddings or hashed n-grams."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graph.hashing import HashedTexts


@dataclass(frozen=True, slots=True)
class HashedFeatures:
    """Sparse rows, kept with their transpose for the backward pass.

    Shapes:
        texts: the same rows, as the exported input layer reads them
        rows: sparse CSR [N, buckets]
        transposed: sparse CSR [buckets, N]
    """

    texts: HashedTexts
    rows: Tensor
    transposed: Tensor

    def __len__(self) -> int:
        return self.rows.shape[0]


Features = Tensor | HashedFeatures  # dense: float32 [N, dimension]


class SparseProduct(torch.autograd.Function):
    """`rows @ table`, differentiable in the table; torch's embedding bag is 2.5 times slower."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, transposed: Tensor, table: Tensor) -> Tensor:
        ctx.transposed = transposed
        return rows @ table

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transposed @ gradients[0]


def sparse_product(features: HashedFeatures, table: Tensor) -> Tensor:
    """`features.rows @ table`, [N, width]."""
    product: Tensor = SparseProduct.apply(features.rows, features.transposed, table)  # type: ignore[no-untyped-call]
    return product


def dense_features(embeddings: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(embeddings))


def hashed_features(texts: HashedTexts, buckets: int) -> HashedFeatures:
    from scipy import sparse

    rows = sparse.csr_array((texts.weights, texts.buckets, texts.indptr), (len(texts), buckets))
    return HashedFeatures(texts, csr_tensor(rows), csr_tensor(rows.T.tocsr()))


def take_rows(features: Features, nodes: Tensor) -> Features:
    """The features of some nodes (int64 [n]), in their order."""
    if isinstance(features, HashedFeatures):
        return hashed_features(features.texts.rows(nodes.numpy()), features.rows.shape[1])
    return features[nodes]


def csr_tensor(matrix: Any) -> Tensor:
    """A scipy CSR matrix as a torch one, sharing nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=False,
        )
