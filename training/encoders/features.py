"""Node features as the student's input layer reads them: dense embeddings or hashed n-grams."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from training.encoders.sparse_product import SparseRows, sparse_rows
from understudy.graph.hashing import HashedTexts


@dataclass(frozen=True, slots=True)
class HashedFeatures:
    """Hashed texts, and the same as a matrix that trains fast."""

    texts: HashedTexts
    rows: SparseRows

    def __len__(self) -> int:
        return len(self.texts)


Features = Tensor | HashedFeatures  # dense: float32 [N, dimension]


def dense_features(embeddings: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(embeddings))


def hashed_features(texts: HashedTexts, buckets: int) -> HashedFeatures:
    shape = len(texts), buckets
    matrix = sparse.csr_array((texts.weights, texts.buckets, texts.indptr), shape)
    return HashedFeatures(texts, sparse_rows(matrix))


def take_rows(features: Features, nodes: Tensor) -> Features:
    """The features of some nodes (int64 [n]), in their order."""
    if isinstance(features, HashedFeatures):
        return hashed_features(features.texts.rows(nodes.numpy()), features.rows.shape[1])
    return features[nodes]


def csr_tensor(matrix: sparse.csr_array) -> Tensor:
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
