import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph import TextGraph, build_adjacency, string_array
from understudy.graph.describe import components
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.graph.selection import connected_part, shortest_way_parents


def test_the_part_is_connected_balanced_and_contains_what_must_be() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=1000, classes=5, mean_degree=6))
    must = graph.ids[int(np.flatnonzero(components(graph.adjacency) == 0)[-1])].as_py()
    nodes = connected_part(graph, 200, [must, "no such node"])
    part = graph.subgraph(nodes)
    assert part.num_nodes == 200
    assert must in part.index_of
    assert components(part.adjacency).max() == 0
    sizes = np.bincount(part.labels, minlength=5)
    assert sizes.max() - sizes.min() <= 3
    assert (nodes == connected_part(graph, 200, [must, "no such node"])).all()


@given(st.integers(1, 40), st.integers(0, 5))
def test_any_limit_is_kept_and_the_part_is_connected(limit: int, seed: int) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=40, classes=3, mean_degree=3, seed=seed))
    part = graph.subgraph(connected_part(graph, limit, ["node-7"]))
    assert 1 <= part.num_nodes <= limit
    assert components(part.adjacency).max() == 0


def test_a_small_class_gives_all_it_has() -> None:
    labels = np.array([0] * 20 + [1] * 2)
    pairs = np.array([[0, other] for other in range(1, 22)])
    graph = TextGraph(
        name="star",
        ids=string_array(map(str, range(22))),
        texts=string_array(["text"] * 22),
        labels=labels,
        label_names=("many", "few"),
        adjacency=build_adjacency(22, pairs)[0],
        splits={},
    )
    part = connected_part(graph, 10)
    assert np.bincount(labels[part]).tolist() == [8, 2]


def test_unlabelled_nodes_come_last(small_graph: TextGraph) -> None:
    assert connected_part(small_graph, 7).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("root", [0, 4])
def test_parents_lead_to_the_root_on_shortest_ways(root: int) -> None:
    pairs = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 0], [2, 5], [1, 5]])
    parents = shortest_way_parents(build_adjacency(7, pairs)[0], root)
    lengths = []
    for node in range(6):
        steps = 0
        while node != root:
            node, steps = int(parents[node]), steps + 1
        lengths.append(steps)
    assert lengths == ([0, 1, 2, 2, 1, 2] if root == 0 else [1, 2, 2, 1, 0, 3])
    assert parents[6] == -2
