from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from understudy.graph import build_adjacency
from understudy.graph.layers.neighborhoods import stored_neighborhoods
from understudy.graph.layers.propagation import propagate

NODES = 15


def own_plus_mean(feeds: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    """A layer that is computable by hand: h + the weighted sum of the neighbours."""
    rows = feeds["table"][feeds["index"]] * feeds["weight"][:, :, None]
    return np.asarray(feeds["h"] + rows.sum(axis=1), dtype=np.float32)


@given(
    edges=st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=60),
    nodes=st.lists(st.integers(0, NODES - 1), min_size=1, max_size=NODES),
)
def test_every_node_gets_its_own_result_whatever_is_asked_for_beside_it(
    edges: list[tuple[int, int]], nodes: list[int]
) -> None:
    adjacency, _ = build_adjacency(NODES, np.array(edges, dtype=np.int64).reshape(-1, 2))
    table = np.random.default_rng(0).standard_normal((NODES, 4)).astype(np.float32)
    asked = np.array(nodes)
    neighborhoods = stored_neighborhoods(adjacency, asked)
    found = propagate(own_plus_mean, table[asked], table, neighborhoods, "mean")
    for row, node in zip(found, nodes, strict=True):
        neighbors = table[adjacency.neighbors(node)]
        mean = neighbors.mean(axis=0) if len(neighbors) else np.zeros(4)
        np.testing.assert_allclose(row, table[node] + mean, atol=1e-5)
