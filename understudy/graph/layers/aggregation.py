"""Weighted sums over neighbours as one sparse product: no padding, no scatter.

On a CPU this is the fastest exact form of every aggregation whose weights do not depend on the
activations (GraphSAGE, GCN, GIN); for attention (GAT) see `understudy.graph.layers.attention`.
"""

import numpy as np
from numpy.typing import NDArray

from understudy.graph.layers.neighborhoods import Neighborhoods, Weighting, edge_weights
from understudy.graph.layers.sparse import weighted_sums


def aggregate(
    h: NDArray[np.float32],
    table: NDArray[np.float32],
    neighborhoods: Neighborhoods,
    weighting: Weighting,
) -> NDArray[np.float32]:
    """The weighted sum of each node's neighbours, and of itself if the weighting includes it.

    Shapes:
        h: float32 [B, d], the nodes' own activations
        table: float32 [M, d], indexed by the neighbourhoods
        returns: float32 [B, d]; zero for a node without neighbours
    """
    weights, self_weights = edge_weights(neighborhoods, weighting)
    total = weighted_sums(table, neighborhoods, weights)
    if weighting == "symmetric":
        total += self_weights[:, None] * h
    return total
