"""Neighbour lists after any batches of edges; every version keeps its own."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph import TextGraph, build_adjacency, string_array
from understudy.graph.errors import MutationError
from understudy.graph.mutable.draft import Draft
from understudy.graph.mutable.materialize import whole_adjacency
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutable.view import GraphView
from understudy.graph.mutations import AddEdge, DeleteNode, RemoveEdge, UpsertNode

NODES = 7
Edge = AddEdge | RemoveEdge


def small_graph() -> TextGraph:
    return TextGraph(
        name="small",
        ids=string_array(f"n{node}" for node in range(NODES)),
        texts=string_array(["text"] * NODES),
        labels=np.zeros(NODES, dtype=np.int64),
        label_names=("a",),
        adjacency=build_adjacency(NODES, np.array([(0, 1), (1, 2), (0, 3), (4, 5)]))[0],
        splits={},
    )


names = st.integers(0, NODES).map(lambda node: f"n{node}")  # the last one is nobody's
edges: st.SearchStrategy[Edge] = st.builds(AddEdge, names, names) | st.builds(
    RemoveEdge, names, names
)
known = st.integers(0, NODES - 1).map(lambda node: f"n{node}")
additions = st.tuples(known, known).filter(lambda ends: ends[0] != ends[1])
batches = st.lists(edges, min_size=1, max_size=12) | st.lists(
    additions.map(lambda ends: AddEdge(*ends)), min_size=1, max_size=12
)


def outcome(draft: Draft, batch: list[Edge], many: int) -> tuple[str, dict[int, bool]]:
    with patch("understudy.graph.mutable.draft.MANY", many):
        try:
            draft.apply(batch)
        except MutationError as error:
            return str(error), dict(draft.edges.pairs)
    return "", dict(draft.edges.pairs)


@given(st.lists(batches, max_size=5))
def test_edges_looked_up_together_are_those_looked_up_one_by_one(drawn: list[list[Edge]]) -> None:
    view = GraphStore(small_graph()).view
    together, alone = Draft(view, [], {}), Draft(view, [], {})
    for batch in drawn:
        assert outcome(together, batch, 1) == outcome(alone, batch, 1_000)


def linked(view: GraphView) -> set[tuple[int, int]]:
    return {(one, other) for one, other in whole_adjacency(view).edges().tolist()}


@pytest.mark.parametrize("room", [0, 2**20])
@given(st.lists(st.lists(additions, min_size=1, max_size=8), max_size=8), st.integers(0, 7))
def test_every_kept_version_keeps_its_lists(
    room: int, drawn: list[list[tuple[str, str]]], compacted: int
) -> None:
    """Each pair is linked, or unlinked if it was; lists are repacked and folded meanwhile."""
    with patch("understudy.graph.mutable.lists.ROOM", room):
        store = GraphStore(small_graph())
        kept = [(store.view, linked(store.view))]
        for number, pairs in enumerate(drawn):
            model = set(kept[-1][1])
            batch: list[Edge] = []
            for one, other in pairs:
                edge = tuple(sorted((int(one[1:]), int(other[1:]))))
                batch.append((RemoveEdge if edge in model else AddEdge)(one, other))
                model ^= {(edge[0], edge[1])}
            before = store.view
            change(store, batch)
            if number == compacted:
                store.adopt(before, whole_adjacency(before))
            kept.append((store.view, model))
            for view, expected in kept:
                assert linked(view) == expected
                assert view.num_edges == len(expected)
                for row in range(NODES):
                    near = view.neighbors(row)
                    assert near.tolist() == sorted(
                        a + b - row for a, b in expected if row in (a, b)
                    )


def change(
    store: GraphStore, batch: "list[Edge] | list[UpsertNode | DeleteNode | AddEdge]"
) -> None:
    draft = store.draft()
    draft.apply(batch)
    undo = store.begin()
    view, made = store.write(draft, undo, 1)
    store.publish(view, draft, made)


def test_a_node_goes_with_the_edges_that_its_batch_gave_it() -> None:
    store = GraphStore(small_graph())
    batch: list[UpsertNode | DeleteNode | AddEdge] = [
        UpsertNode("new", "text"),
        AddEdge("new", "n0"),
        AddEdge("n6", "n0"),
        DeleteNode("n6"),
        AddEdge("new", "n1"),
        DeleteNode("n0"),
    ]
    change(store, batch)
    assert linked(store.view) == {(1, 2), (4, 5), (1, NODES)}


def test_lists_that_change_often_take_bounded_memory() -> None:
    with patch("understudy.graph.mutable.lists.ROOM", 50):
        store = GraphStore(small_graph())
        for number in range(200):
            change(store, [(AddEdge, RemoveEdge)[number % 2]("n2", "n6")])
            assert store.view.parts.lists.used < 120
