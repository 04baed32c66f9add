"""Weighted sums over neighbours as one sparse product: no padding, no scatter.

On a CPU this is the fastest exact form of every aggregation whose weights do not depend on the
activations (GraphSAGE, GCN, GIN); attention (GAT) needs `graph.neighborhoods.padded_blocks`.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graph.neighborhoods import Neighborhoods, Weighting, edge_weights


def aggregate(
    h: NDArray[np.float32],
    table: NDArray[np.float32],
    neighborhoods: Neighborhoods,
    weighting: Weighting,
) -> NDArray[np.float32]:
    """The weighted sum of each node's neighbours, and of itself where the weighting says so.

    Shapes:
        h: float32 [B, d], the nodes' own activations
        table: float32 [M, d], what the neighbourhoods' indices point into
        returns: float32 [B, d]; zero for a node without neighbours
    """
    weights, self_weights = edge_weights(neighborhoods, weighting)
    total = weighted_sums(table, neighborhoods, weights)
    if weighting == "symmetric":
        total += self_weights[:, None] * h
    return total


def weighted_sums(
    table: NDArray[np.float32], neighborhoods: Neighborhoods, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """float32 [B, d]."""
    if len(neighborhoods) == 1:  # building a sparse matrix would take longer than the sum
        sums: NDArray[np.float32] = weights @ table[neighborhoods.indices]
        return sums[None]
    # Indices of 32 bits where they suffice: a third less to read.
    data = (weights, narrow(neighborhoods.indices), narrow(neighborhoods.indptr))
    matrix = sparse.csr_array(data, (len(neighborhoods), len(table)))
    return np.asarray(matrix @ table)


def narrow(values: NDArray[np.int64]) -> NDArray[np.int32] | NDArray[np.int64]:
    fits = values.max(initial=0) < 2**31
    return values.astype(np.int32) if fits else values
