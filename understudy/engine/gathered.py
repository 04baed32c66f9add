"""Runs layers for a reader, over rows copied from the tables at its version."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from understudy.engine.updates.aggregated import LINEAR, run_aggregated
from understudy.graph.layers.neighborhoods import Neighborhoods, Weighting, edge_weights
from understudy.graph.layers.propagation import Layer, propagate

GATHERED_ROWS = 65_536  # neighbours' rows per step: 64 MiB at width 256 and float32


class Gathered:
    """Neighbourhoods and weights, for layers that read copied rows.

    Tables change under a reader, so a reader cannot run a layer over a table itself.

    Shapes:
        rows: int64 [E], rows to copy from each layer's table; at least one, for an input that is
            not empty
    """

    def __init__(self, near: Neighborhoods, weighting: Weighting) -> None:
        self.rows = near.indices if len(near.indices) else np.zeros(1, np.int64)
        self.weighting = weighting
        self.linear = weighting in LINEAR
        if self.linear:  # the weights are the same for all layers
            weights, self.self_weights = edge_weights(near, weighting)
            self.sums = summing(near, weights)
        else:
            self.near = replace(near, indices=np.arange(len(near.indices)))

    def run(
        self, layer: Layer, h: NDArray[np.float32], taken: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Runs a layer for the nodes.

        Shapes:
            h: float32 [B, d]; taken: float32 [E, d], of `rows`
            returns: float32 [B, d']
        """
        if not self.linear:
            return propagate(layer, h, taken, self.near, self.weighting)
        aggregated = self.sums @ taken
        if self.weighting == "symmetric":
            aggregated += self.self_weights[:, None] * h
        return run_aggregated(layer, h, aggregated)


def summing(
    near: Neighborhoods, weights: NDArray[np.float32]
) -> "NDArray[np.float32] | sparse.csr_array":
    """Makes the matrix that maps copied rows [E, d] to every node's weighted sum; [B, E]."""
    if len(weights) == 0:
        return np.zeros((len(near), 1), np.float32)
    if len(near) == 1:  # a dense row: a sparse matrix would take longer than the product
        return weights[None]
    return sparse.csr_array((weights, np.arange(len(weights)), near.indptr))


def steps(degrees: NDArray[np.int64], most: int) -> Iterator[slice]:
    """Cuts nodes so that a step reads at most `most` neighbours, unless one node has more."""
    ends = np.cumsum(degrees + 1)
    start = 0
    while start < len(degrees):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + most, side="right")), start + 1)
        yield slice(start, stop)
        start = stop
