"""Folds of the training nodes: a fold's answers are learned from the other folds' labels."""

import numpy as np
from numpy.typing import NDArray

from understudy.graph import TextGraph

FOLDS = 5


def training_folds(graph: TextGraph, nodes: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """The fold of each of some labelled nodes, below `FOLDS`; int64 [T].

    Each class is distributed evenly, in random order. Nodes of one group share the fold of the
    group's first node, so that a node's answer never depends on a copy of it.
    """
    groups = nodes if graph.groups is None else graph.groups[nodes]
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng([seed, 6]).permutation(len(first))
    order = order[np.argsort(graph.labels[nodes[first[order]]], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    own: NDArray[np.int64] = fold[group]
    return own
