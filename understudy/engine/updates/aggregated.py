"""An exported layer for nodes whose neighbours are summed already."""

import numpy as np
from numpy.typing import NDArray

from understudy.graph.neighborhoods import Neighborhoods
from understudy.graph.propagation import Layer, run_blocks, run_dense

LINEAR = ("mean", "sum", "symmetric")  # weightings that do not depend on the activations


def run_aggregated(
    layer: Layer, h: NDArray[np.float32], aggregated: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Runs a layer of a linear weighting.

    Shapes:
        h: float32 [B, d]
        aggregated: float32 [B, d], as `understudy.graph.aggregation.aggregate` gives it
        returns: float32 [B, d']
    """
    if "table" not in getattr(layer, "inputs", ("table",)):
        return run_dense(layer, h, aggregated)
    # A gathering layer sums a single row of weight 1, and nothing of the node's own.
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
    nobody = Neighborhoods(np.zeros(len(h) + 1, np.int64), none, none)
    return run_blocks(layer, h, np.zeros((1, h.shape[1]), np.float32), nobody, "none")


def scales(degrees: NDArray[np.int64], weighting: str) -> NDArray[np.float64]:
    """float64 [B]: a node's share of its neighbours' weights, the part that is its own."""
    if weighting == "symmetric":
        return np.asarray(1.0 / np.sqrt(degrees + 1.0))
    return np.ones(len(degrees))


def aggregated_from_sums(
    sums: NDArray[np.float64],
    h: NDArray[np.float32],
    degrees: NDArray[np.int64],
    weighting: str,
) -> NDArray[np.float32]:
    """What the layer reads, from the sums of the neighbours' activations times `scales`.

    Shapes:
        sums: float64 [B, d]; h: float32 [B, d]; degrees: int64 [B]
    """
    if weighting == "mean":
        sums = sums / np.maximum(degrees, 1)[:, None]
    elif weighting == "symmetric":
        own = scales(degrees, weighting)[:, None]
        sums = own * (sums + own * h)
    return sums.astype(np.float32)
