"""Local homophily of predictions: how many neighbours are predicted like a node.

If a node's neighbours are predicted differently, its own prediction is less often right. This is a
signal for deferring (see `training.deferral`), so training and service must compute it alike.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

ALONE = 1.0  # for a node without neighbours: nothing contradicts its prediction


def agreement(
    predicted: NDArray[np.int64],
    neighbors: Sequence[NDArray[np.integer]],
    predicted_of: Callable[[NDArray[np.int64]], NDArray[np.int64]],
) -> NDArray[np.float64]:
    """The share of each node's neighbours whose predicted label is the node's own; float64 [B].

    Args:
        predicted_of: rows of stored nodes → their predicted labels, both int64 [K].

    Shapes:
        predicted: int64 [B], of the nodes themselves
        neighbors: for every node its neighbours' rows, distinct
    """
    degrees = np.array([len(rows) for rows in neighbors], dtype=np.int64)
    shares = np.full(len(predicted), ALONE)
    linked = degrees > 0
    if not linked.any():
        return shares
    labels = predicted_of(np.concatenate(neighbors).astype(np.int64))
    owners = np.repeat(np.arange(len(predicted)), degrees)
    same = np.bincount(owners, labels == predicted[owners], minlength=len(predicted))
    shares[linked] = same[linked] / degrees[linked]
    return shares
