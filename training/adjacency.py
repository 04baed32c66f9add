"""A graph's edges as sparse matrices."""

import numpy as np
from scipy import sparse

from understudy.graph.csr import Adjacency


def adjacency_matrix(adjacency: Adjacency) -> sparse.csr_array:
    """float32 [N, N], a one for every edge and direction."""
    ones = np.ones(len(adjacency.indices), dtype=np.float32)
    size = (adjacency.num_nodes, adjacency.num_nodes)
    return sparse.csr_array((ones, adjacency.indices, adjacency.indptr), size)


def normalized_adjacency(adjacency: Adjacency) -> sparse.csr_array:
    """float32 [N, N], with self-loops, divided by the roots of both degrees (arXiv 1609.02907)."""
    scale = sparse.diags_array(1 / np.sqrt(adjacency.degrees + 1.0))
    looped = adjacency_matrix(adjacency) + sparse.eye_array(adjacency.num_nodes)
    normalized = sparse.csr_array(scale @ looped @ scale).astype(np.float32)
    normalized.sort_indices()
    return normalized
