"""The inputs of student.onnx correspond to the adjacency."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency, build_adjacency
from understudy.graph.layers.neighborhoods import edge_weights, stored_neighborhoods
from understudy.graph.layers.receptive_field import Hop, receptive_field


def summed(hop: Hop, below: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the network does with a hop, in numpy."""
    rows = (below[hop.index] * hop.weight[:, :, None]).sum(axis=1)
    further = rows[hop.more].sum(axis=1)
    return np.asarray(np.concatenate([rows, further])[hop.pair].sum(axis=1))


def check(adjacency: Adjacency, seeds: NDArray[np.int64]) -> None:
    field = receptive_field(adjacency, seeds, 2, "mean")
    assert len(np.unique(field.nodes)) == len(field.nodes)
    table = np.random.default_rng(0).standard_normal((adjacency.num_nodes, 3))
    own = table
    for hop, targets in zip(field.hops, (np.unique(near_of(adjacency, seeds)), seeds), strict=True):
        near = stored_neighborhoods(adjacency, np.arange(adjacency.num_nodes))
        weights = edge_weights(near, "mean")[0]
        sums = np.zeros_like(own)
        np.add.at(sums, adjacency.edge_index()[1], own[near.indices] * weights[:, None])
        nodes = field.nodes if hop is field.hops[0] else np.unique(near_of(adjacency, seeds))
        np.testing.assert_array_equal(nodes[hop.own], targets)
        np.testing.assert_allclose(summed(hop, own[nodes]), sums[targets], atol=1e-9)
        own = sums


def near_of(adjacency: Adjacency, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([nodes, stored_neighborhoods(adjacency, nodes).indices])


@given(
    edges=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=70),
    seeds=st.lists(st.integers(0, 14), min_size=1, max_size=6),
)
def test_every_hop_sums_the_neighbours(edges: list[tuple[int, int]], seeds: list[int]) -> None:
    pairs = np.array(edges, dtype=np.int64).reshape(-1, 2)
    check(build_adjacency(15, pairs)[0], np.array(seeds))


def test_a_hub_widens_nobody() -> None:
    hub = np.stack([np.zeros(10_000, np.int64), np.arange(1, 10_001)], axis=1)
    adjacency = build_adjacency(10_002, hub)[0]
    seeds = np.array([1, 10_001])
    check(adjacency, seeds)
    first = receptive_field(adjacency, seeds, 2, "mean").hops[0]
    assert first.index.size + first.more.size < 3 * 10_000
    seeds = np.arange(10_002)  # the hub among all the others
    check(adjacency, seeds)
    every = receptive_field(adjacency, seeds, 1, "mean").hops[0]
    assert every.index.size + every.more.size < 5 * 20_000
