"""Baselines beside a teacher: chance, and labels spread without one."""

from dataclasses import replace

import numpy as np

from tests.unit.training.samples import NODES, small_graph
from training.teacher.answers.baselines import baseline_metrics
from training.teacher.answers.views import view_names
from understudy.graph.csr import build_adjacency
from understudy.graph.splits import labeled_nodes


def test_labels_that_edges_carry_are_better_than_chance() -> None:
    graph = small_graph()
    metrics = baseline_metrics(graph)
    train, test = (labeled_nodes(graph, split) for split in ("train", "test"))
    frequent = np.bincount(graph.labels[train]).argmax()
    assert metrics["test_chance"] == float((graph.labels[test] == frequent).mean())
    assert metrics["val_propagation"] > 1.3 * metrics["val_chance"]
    assert not view_names(metrics)


def test_where_no_edge_leads_the_most_frequent_label_is_left() -> None:
    graph = small_graph()
    edgeless = build_adjacency(NODES, np.empty((0, 2), np.int64))[0]
    metrics = baseline_metrics(replace(graph, adjacency=edgeless))
    assert metrics["val_propagation"] == metrics["val_chance"]
    assert metrics["test_propagation"] == metrics["test_chance"]


def test_only_training_labels_are_spread() -> None:
    graph = small_graph()
    val = labeled_nodes(graph, "val")
    labels = graph.labels.copy()
    labels[val] = (labels[val] + 1) % graph.num_classes
    other = baseline_metrics(replace(graph, labels=labels, splits={**graph.splits, "val": val[:0]}))
    without = baseline_metrics(replace(graph, splits={**graph.splits, "val": val[:0]}))
    assert other == without
