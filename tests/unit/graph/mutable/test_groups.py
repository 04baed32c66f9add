"""Groups of nodes survive service, changes, and their undoing."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.bundles import tiny_graph
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutable.stream import graph_lines, read_graph
from understudy.graph.mutable.view import GraphView
from understudy.graph.mutations import DeleteNode, Mutation, UpsertNode
from understudy.graph.snapshot import load_snapshot, save_snapshot
from understudy.graph.text_graph import TextGraph, own_groups
from understudy.retraining.joining import join_train

CHANGES: tuple[Mutation, ...] = (
    DeleteNode("node-3"),
    UpsertNode("new", "json", label="games"),
    UpsertNode("bare", "json"),
    UpsertNode("node-4", "other words"),
)


def grouped() -> TextGraph:
    graph = tiny_graph()
    return replace(graph, groups=np.arange(graph.num_nodes, dtype=np.int64) // 2)


def changed(graph: TextGraph) -> GraphView:
    store = GraphStore(graph)
    draft = store.draft()
    draft.apply(CHANGES)
    view, change = store.write(draft, store.begin(), 1)
    store.publish(view, draft, change)
    return store.view


def test_a_snapshot_keeps_groups(tmp_path: Path) -> None:
    save_snapshot(grouped(), tmp_path)
    assert load_snapshot(tmp_path).content_hash == grouped().content_hash
    save_snapshot(tiny_graph(), tmp_path)
    assert load_snapshot(tmp_path).groups is None


def test_a_node_that_was_added_is_a_group_by_itself() -> None:
    graph = to_text_graph(changed(grouped()))
    assert graph.groups is not None
    groups = dict(zip(graph.ids.to_pylist(), graph.groups.tolist(), strict=True))
    assert groups["node-4"] == groups["node-5"] == 2
    assert groups["node-2"] == 1
    alone = [name for name, group in groups.items() if list(groups.values()).count(group) == 1]
    assert set(alone) == {"node-2", "new", "bare"}  # node-3 is gone
    read = read_graph(b"".join(graph_lines(changed(grouped()))).splitlines(), "here")
    assert read.content_hash == graph.content_hash
    assert to_text_graph(changed(tiny_graph())).groups is None


def test_groups_of_none_are_none() -> None:
    assert own_groups(np.array([-1, -1])) is None
    assert own_groups(np.empty(0, np.int64)) is None
    found = own_groups(np.array([-1, 4, -1, 0]))
    assert found is not None
    assert found.tolist() == [5, 4, 6, 0]


def test_a_node_of_a_held_out_group_does_not_join_train() -> None:
    """As of a graph that was served: one that was labelled later is beside its like in test."""
    graph = grouped()
    later = int(graph.splits["test"][0])
    pair = later ^ 1
    splits = {name: members[members != pair] for name, members in graph.splits.items()}
    labels = np.where(graph.labels < 0, 0, graph.labels)
    served = to_text_graph(GraphStore(replace(graph, splits=splits, labels=labels)).view)
    assert pair not in join_train(served).graph.splits["train"]
    assert pair in join_train(replace(served, groups=None)).graph.splits["train"]
