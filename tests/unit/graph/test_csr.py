from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph import build_adjacency

NODES = 8
node = st.integers(0, NODES - 1)
edge_lists = st.lists(st.tuples(node, node), max_size=40)


@given(edge_lists, st.randoms())
def test_order_and_direction_of_edges_do_not_matter(
    edges: list[tuple[int, int]], random: Random
) -> None:
    shuffled = [random.choice([(a, b), (b, a)]) for a, b in edges]
    random.shuffle(shuffled)
    first, _ = build_adjacency(NODES, np.array(edges, dtype=np.int64))
    second, _ = build_adjacency(NODES, np.array(shuffled, dtype=np.int64))
    assert (first.indptr == second.indptr).all()
    assert (first.indices == second.indices).all()


@given(edge_lists)
def test_the_adjacency_is_simple_symmetric_and_complete(edges: list[tuple[int, int]]) -> None:
    adjacency, dropped = build_adjacency(NODES, np.array(edges, dtype=np.int64))
    expected = {frozenset(edge) for edge in edges if edge[0] != edge[1]}
    assert {frozenset(edge) for edge in adjacency.edges().tolist()} == expected
    for index in range(NODES):
        neighbors = adjacency.neighbors(index).tolist()
        assert neighbors == sorted(set(neighbors) - {index})
        assert all(index in adjacency.neighbors(other) for other in neighbors)
    assert dropped.self_loops == sum(a == b for a, b in edges)
    assert dropped.duplicates == len(edges) - dropped.self_loops - adjacency.num_edges


def test_edge_index_has_both_directions_sorted_by_target() -> None:
    adjacency, _ = build_adjacency(3, np.array([[2, 0], [0, 1]]))
    assert adjacency.edge_index().tolist() == [[1, 2, 0, 0], [0, 0, 1, 2]]
    assert adjacency.degrees.tolist() == [2, 1, 1]


def test_induced_keeps_edges_between_the_chosen_nodes_in_their_order() -> None:
    adjacency, _ = build_adjacency(4, np.array([[0, 1], [1, 2], [2, 3]]))
    assert adjacency.induced(np.array([2, 1])).edges().tolist() == [[0, 1]]


@pytest.mark.parametrize("edge", [[0, 3], [-1, 0]])
def test_an_endpoint_outside_the_graph_is_refused(edge: list[int]) -> None:
    with pytest.raises(ValueError, match=r"\[0, 3\)"):
        build_adjacency(3, np.array([edge]))


def test_no_edges_and_no_nodes() -> None:
    assert build_adjacency(2, np.empty((0, 2), np.int64))[0].num_edges == 0
    assert build_adjacency(0, np.empty((0, 2), np.int64))[0].num_nodes == 0
