"""Folds of the training nodes."""

from dataclasses import replace

import numpy as np

from tests.unit.training.samples import CLASSES, NODES, small_graph
from training.folds import FOLDS, training_folds
from understudy.graph.splits import labeled_nodes


def test_each_class_is_dealt_out_evenly() -> None:
    graph = small_graph()
    train = labeled_nodes(graph, "train")
    folds = training_folds(graph, train)
    for label in range(CLASSES):
        counts = np.bincount(folds[graph.labels[train] == label], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(folds, training_folds(graph, train, seed=1))


def test_nodes_of_one_group_share_a_fold() -> None:
    graph = replace(small_graph(), groups=np.arange(NODES) // 3)
    train = labeled_nodes(graph, "train")
    folds = training_folds(graph, train)
    assert graph.groups is not None
    for group in np.unique(graph.groups[train]):
        assert len(set(folds[graph.groups[train] == group].tolist())) == 1
    assert len(set(folds.tolist())) == FOLDS
