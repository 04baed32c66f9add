import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from understudy.graph import Adjacency, build_adjacency
from understudy.graph.layers.neighborhoods import (
    Weighting,
    padded_blocks,
    padded_widths,
    stored_neighborhoods,
    unseen_neighborhoods,
)

WEIGHTINGS: tuple[Weighting, ...] = ("mean", "sum", "symmetric", "mask")
NODES = 12
EDGES = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=40)


def adjacency_of(edges: list[tuple[int, int]]) -> Adjacency:
    return build_adjacency(NODES, np.array(edges, dtype=np.int64).reshape(-1, 2))[0]


def dense_weights(adjacency: Adjacency, weighting: Weighting) -> NDArray[np.float64]:
    """What each weighting means, as a matrix [N, N]."""
    matrix = np.zeros((NODES, NODES))
    for node in range(NODES):
        matrix[node, adjacency.neighbors(node)] = 1
    degrees = matrix.sum(axis=1)
    if weighting == "mean":
        return np.asarray(matrix / np.maximum(degrees, 1)[:, None])
    if weighting == "symmetric":
        scale = 1 / np.sqrt(degrees + 1)
        return np.asarray(scale[:, None] * matrix * scale)
    return matrix


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@given(edges=EDGES, max_cells=st.integers(1, 64))
def test_blocks_hold_every_node_once_with_its_weighted_neighbors(
    weighting: Weighting, edges: list[tuple[int, int]], max_cells: int
) -> None:
    adjacency = adjacency_of(edges)
    nodes = np.array([7, 0, 3, 11, 3])
    expected = dense_weights(adjacency, weighting)[nodes]
    found = np.zeros_like(expected)
    seen: list[int] = []
    for block in padded_blocks(stored_neighborhoods(adjacency, nodes), weighting, max_cells):
        assert block.index.size <= max_cells or len(block.rows) == 1
        seen += block.rows.tolist()
        for row, index, weight in zip(block.rows, block.index, block.weight, strict=True):
            np.add.at(found[row], index, weight)
    assert sorted(seen) == list(range(len(nodes)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(edges=EDGES)
def test_self_weights_are_the_normalized_self_loop(edges: list[tuple[int, int]]) -> None:
    adjacency = adjacency_of(edges)
    nodes = np.arange(NODES)
    for block in padded_blocks(stored_neighborhoods(adjacency, nodes), "symmetric"):
        expected = 1 / (adjacency.degrees[block.rows] + 1)
        np.testing.assert_allclose(block.self_weight[:, 0], expected, atol=1e-6)


@given(edges=EDGES)
def test_an_unseen_node_with_stored_neighbors_has_a_stored_neighborhood(
    edges: list[tuple[int, int]],
) -> None:
    adjacency = adjacency_of(edges)
    rows = [adjacency.neighbors(node).astype(np.int64) for node in range(NODES)]
    stored = stored_neighborhoods(adjacency, np.arange(NODES))
    unseen = unseen_neighborhoods(adjacency, rows)
    np.testing.assert_array_equal(stored.indptr, unseen.indptr)
    np.testing.assert_array_equal(stored.indices, unseen.indices)
    np.testing.assert_array_equal(stored.degrees, unseen.degrees)


def test_widths_are_the_next_powers_of_two() -> None:
    degrees = np.array([0, 1, 2, 3, 4, 5, 8, 9, 21_818])
    assert padded_widths(degrees).tolist() == [1, 1, 2, 4, 4, 8, 8, 16, 32_768]


def test_a_hub_does_not_pad_the_others() -> None:
    spokes = np.stack([np.zeros(99, np.int64), np.arange(1, 100)], axis=1)
    adjacency, _ = build_adjacency(100, spokes)
    blocks = list(padded_blocks(stored_neighborhoods(adjacency, np.arange(100)), "mean"))
    assert sorted(block.index.shape for block in blocks) == [(1, 128), (99, 1)]
