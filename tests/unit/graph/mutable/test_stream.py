"""A graph as JSON lines, and back."""

import json
import weakref
from dataclasses import replace

import numpy as np
import pytest

from tests.bundles import tiny_graph
from understudy.graph.errors import BadInputError
from understudy.graph.lineage import Lineage
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutable.stream import PIECE_BYTES, graph_lines, read_graph
from understudy.graph.mutable.view import GraphView
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, UpsertNode

CHANGES: tuple[Mutation, ...] = (
    DeleteNode("node-3"),
    UpsertNode("new ü x", "json", label="games"),  # takes no removed node's split
    UpsertNode("bare", "json"),
    AddEdge("new ü x", "node-39"),
    UpsertNode("node-4", "other words"),
)


def changed(number: int = 5) -> GraphView:
    store = GraphStore(replace(tiny_graph(), lineage=Lineage("origin")), number)
    for mutation in CHANGES:
        draft = store.draft()
        draft.apply([mutation])
        view, change = store.write(draft, store.begin(), 1)
        store.publish(view, draft, change)
    return store.view


def lines() -> list[bytes]:
    return b"".join(graph_lines(changed())).splitlines()


def test_a_streamed_graph_is_read_as_it_was() -> None:
    view = changed()
    graph = read_graph(lines(), "here")
    expected = to_text_graph(view)
    assert graph.content_hash == expected.content_hash
    assert (graph.name, graph.lineage) == ("tiny", Lineage("origin", 10))
    assert (expected.lineage, graph.num_nodes) == (graph.lineage, 41)
    split = {graph.ids[int(node)].as_py(): n for n, m in graph.splits.items() for node in m}
    assert "new ü x" not in split
    assert split["node-4"] == "train"


def test_a_version_does_not_change_while_it_is_streamed() -> None:
    store = GraphStore(tiny_graph())
    streamed = graph_lines(store.view)
    pieces = [next(streamed)]
    draft = store.draft()
    draft.apply([DeleteNode("node-3"), UpsertNode("late", "json")])
    view, change = store.write(draft, store.begin(), 1)
    store.publish(view, draft, change)
    graph = read_graph(b"".join([*pieces, *streamed]).splitlines(), "here")
    assert graph.content_hash == tiny_graph().content_hash
    np.testing.assert_array_equal(graph.adjacency.indices, tiny_graph().adjacency.indices)


def test_a_stream_keeps_no_version_for_long() -> None:
    """Or each line would be read through all that changed since, and might never be the last."""
    store = GraphStore(tiny_graph())
    version = weakref.ref(store.view.version)
    streamed = graph_lines(store.view)
    pieces = [next(streamed)]
    while not pieces[-1] or len(pieces) == 1:
        pieces.append(next(streamed))
    draft = store.draft()
    draft.apply([DeleteNode("node-3"), AddEdge("node-1", "node-39")])
    view, change = store.write(draft, store.begin(), 1)
    store.publish(view, draft, change)
    del draft  # which was made from it
    assert version() is None
    graph = read_graph(b"".join([*pieces, *streamed]).splitlines(), "here")
    assert graph.content_hash == tiny_graph().content_hash


def test_a_graph_that_is_not_whole_is_refused() -> None:
    whole = lines()
    edge = next(n for n, line in enumerate(whole) if b'"edge"' in line)
    unknown = json.dumps({"kind": "edge", "source": "node-1", "target": "nobody"}).encode()
    for damaged, words in (
        (whole[:-1], "breaks off after line"),
        (whole[:edge], "breaks off after line"),
        ([], "breaks off after line 0"),
        ([*whole[:4], *whole[5:]], "names .*, which does not exist"),
        ([*whole[:-1], whole[edge], whole[-1]], "not as many as it says"),
        ([*whole[:2], whole[1], *whole[2:]], "comes twice"),
        ([*whole[:-1], unknown, whole[-1]], "names 'nobody'"),
        (whole[1:], "this is not the beginning of a graph"),
        ([whole[0], *whole], "a second head"),
        ([b"{", *whole], r"the answer is not a graph \(.*\); check that"),
        ([b"<html>"], "the answer is not a graph"),
    ):
        with pytest.raises(BadInputError, match=words) as caught:
            read_graph(damaged, "here")
        assert str(caught.value).startswith("here: ")
        assert "\n" not in str(caught.value)


def test_long_lines_are_sent_in_pieces_that_are_not() -> None:
    long = "word " * (PIECE_BYTES // 20)  # a quarter of a piece
    store = GraphStore(tiny_graph())
    draft = store.draft()
    draft.apply([UpsertNode(f"node-{number}", long) for number in range(40)])
    view, change = store.write(draft, store.begin(), 1)
    store.publish(view, draft, change)
    pieces = list(graph_lines(view))
    assert max(map(len, pieces)) < PIECE_BYTES + 2 * len(long)
    assert read_graph(b"".join(pieces).splitlines(), "here").num_nodes == 40
