"""Runs an exported layer on neighbour sums that are already computed."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from understudy.graph.csr import Adjacency
from understudy.graph.layers.neighborhoods import Neighborhoods
from understudy.graph.layers.propagation import Layer, run_blocks, run_dense
from understudy.graph.mutable.versions import VersionedTable

LINEAR = ("mean", "sum", "symmetric")  # weightings that do not depend on the activations


def run_aggregated(
    layer: Layer, h: NDArray[np.float32], aggregated: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Runs a layer of a linear weighting.

    Shapes:
        aggregated: float32 [B, d], as `understudy.graph.layers.aggregation.aggregate` gives it
        returns: float32 [B, d']
    """
    if "table" not in getattr(layer, "inputs", ("table",)):
        return run_dense(layer, h, aggregated)
    # Feed a gathering layer one row of weight 1 per node, and weight 0 for the node itself.
    count = len(h)
    feeds: dict[str, NDArray[np.generic]] = {
        "h": h,
        "table": aggregated,
        "index": np.arange(count)[:, None],
        "weight": np.ones((count, 1), np.float32),
        "self_weight": np.zeros((count, 1), np.float32),
    }
    return layer(feeds)


def run_alone(layer: Layer, h: NDArray[np.float32]) -> NDArray[np.float32]:
    """Runs a layer that reads no neighbours; h is float32 [B, d]."""
    if "table" not in getattr(layer, "inputs", ("table",)):
        return run_dense(layer, h, h)
    none = np.empty(0, np.int64)
    isolated = Neighborhoods(np.zeros(len(h) + 1, np.int64), none, none)
    return run_blocks(layer, h, np.zeros((1, h.shape[1]), np.float32), isolated, "none")


def scales(degrees: NDArray[np.int64], weighting: str) -> NDArray[np.float32]:
    """Computes each node's own factor of its neighbours' edge weights; float32 [B]."""
    if weighting == "symmetric":
        return np.asarray(1.0 / np.sqrt(degrees + 1.0), dtype=np.float32)
    return np.ones(len(degrees), np.float32)


def table_sums(
    table: VersionedTable, near: Adjacency, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Computes weighted sums of lists of rows, from the newest table; float32 [B, d].

    Shapes:
        near: B lists; weights: float32 [E], one per entry
    """
    grown = near.indices >= table.split
    if not grown.any():
        return product(near.indptr, near.indices, weights, table.base)
    # The table's base and grown rows are two arrays.
    first = np.where(grown, 0, near.indices)
    sums = product(near.indptr, first, np.where(grown, 0, weights), table.base)
    indptr = np.concatenate([[0], np.cumsum(grown)])[near.indptr]
    further = near.indices[grown] - table.split
    return sums + product(indptr, further, weights[grown], table.grown)


def product(
    indptr: NDArray[np.int64],
    indices: NDArray[np.integer],
    weights: NDArray[np.float32],
    table: NDArray[np.float32],
) -> NDArray[np.float32]:
    if len(indptr) == 2:  # for one list, building a sparse matrix takes longer than the sum
        return np.asarray(weights @ table[indices])[None]
    matrix = sparse.csr_array((weights, indices, indptr), (len(indptr) - 1, len(table)))
    return np.asarray(matrix @ table)


def aggregated_from_sums(
    sums: NDArray[np.float32],
    h: NDArray[np.float32],
    degrees: NDArray[np.int64],
    weighting: str,
) -> NDArray[np.float32]:
    """Turns sums of the neighbours' activations times `scales` into the layer's input.

    Shapes:
        sums: float32 [B, d], overwritten; h: float32 [B, d]; degrees: int64 [B]
    """
    if weighting == "mean":
        sums *= (1.0 / np.maximum(degrees, 1)).astype(np.float32)[:, None]
    elif weighting == "symmetric":
        own = scales(degrees, weighting)[:, None]
        sums += own * h
        sums *= own
    return sums
