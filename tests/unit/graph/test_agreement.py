"""The share of neighbours with a node's predicted label."""

import numpy as np
from numpy.typing import NDArray

from understudy.graph.agreement import agreement


def test_the_share_of_neighbors_with_the_same_prediction() -> None:
    stored = np.array([0, 1, 1, 2])
    near = [np.array([1, 2, 3], np.int32), np.array([], np.int32), np.array([0], np.int32)]
    shares = agreement(np.array([1, 2, 1]), near, stored.__getitem__)
    assert shares.tolist() == [2 / 3, 1.0, 0.0]


def test_nodes_without_neighbors_count_as_agreeing() -> None:
    def unasked(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        raise AssertionError(rows)

    assert agreement(np.array([0, 1]), [np.array([], np.int32)] * 2, unasked).tolist() == [1, 1]
    assert agreement(np.array([], np.int64), [], unasked).tolist() == []
