"""The part of a graph that is drawn around a node."""

import numpy as np
import pytest

from tests.bundles import TinyBundle
from understudy.engine import Engine
from understudy.graph.mutable.surroundings import COMPARED, linked_among, surroundings
from understudy.graph.mutations import AddEdge, Mutation, UpsertNode


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


def test_all_neighbors_and_all_edges_among_them_and_what_is_shown(engine: Engine) -> None:
    view = engine.state.graph
    rows, edges = surroundings(view, 3, 100, beside=[20, 39])
    assert rows[0] == 3
    assert set(rows[1:]) == set(view.neighbors(3).tolist()) - {20}
    shown = sorted({*rows, 20, 39})
    expected = {(a, b) for a in shown for b in shown if a < b and view.linked(a, b)}
    assert set(edges) == expected
    assert len(edges) == len(expected)


def test_of_many_neighbors_those_that_share_most_go_first(engine: Engine) -> None:
    names = [f"m{number}" for number in range(COMPARED + 50)]
    changes: list[Mutation] = [UpsertNode("middle", "x"), UpsertNode("kin", "x")]
    changes += [UpsertNode(name, "x") for name in names]
    changes += [AddEdge("middle", name) for name in [*names, "kin"]]
    changes += [AddEdge("kin", name) for name in names[:9]]
    engine.apply(changes)
    view = engine.state.graph
    middle = view.row_of("middle")
    assert middle is not None
    rows, edges = surroundings(view, middle, 10)
    assert [view.id(row) for row in rows[:2]] == ["middle", "kin"]
    assert len(rows) == 11
    assert {(middle, row) for row in rows[1:]} <= set(edges)


def test_a_node_without_neighbors_stands_alone(engine: Engine) -> None:
    assert surroundings(engine.state.graph, 39, 5) == ([39], [])
    assert linked_among(np.empty(0, np.int32), np.array([1, 2])).tolist() == []
