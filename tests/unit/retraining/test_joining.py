"""Nodes that were labelled after the import become training nodes."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from understudy.graph.csr import build_adjacency
from understudy.graph.text_graph import UNLABELED, TextGraph
from understudy.retraining.joining import join_train

TEXTS = ("one", "two", "three", "two", "four", "five", "six")
GRAPH = TextGraph(
    name="small",
    ids=pa.array([f"n{number}" for number in range(len(TEXTS))], pa.large_string()),
    texts=pa.array(TEXTS, pa.large_string()),
    labels=np.array([0, 1, 0, 1, 1, UNLABELED, 0], dtype=np.int64),
    label_names=("a", "b"),
    adjacency=build_adjacency(len(TEXTS), np.array([[0, 1], [2, 3]], dtype=np.int64))[0],
    splits={"train": np.array([0]), "val": np.array([1]), "test": np.array([2])},
)


def test_labelled_nodes_of_no_split_join_but_for_those_of_a_held_out_text() -> None:
    joined = join_train(GRAPH)
    members = {name: nodes.tolist() for name, nodes in joined.graph.splits.items()}
    assert members == {"train": [0, 4, 6], "val": [1], "test": [2]}
    assert (joined.count, joined.held_back) == (2, 1)
    assert joined.summary.startswith(
        "2 labelled nodes that were in no split were added to train; 1 were not"
    )
    again = join_train(joined.graph)
    assert (again.count, again.held_back) == (0, 1)


def test_groups_are_respected_where_they_are_known() -> None:
    groups = np.array([0, 1, 2, 3, 2, 5, 6], dtype=np.int64)  # n4 is of one group with test's n2
    joined = join_train(replace(GRAPH, groups=groups))
    assert joined.graph.splits["train"].tolist() == [0, 6]
    assert (joined.count, joined.held_back) == (1, 2)


def test_a_graph_without_splits_has_no_train_to_join() -> None:
    joined = join_train(replace(GRAPH, splits={}))
    assert (joined.graph.splits, joined.count) == ({}, 0)
