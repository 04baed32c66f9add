"""Splits of an evaluation."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from understudy.graph import UNLABELED, TextGraph, random_split

SHARES = (0.6, 0.2, 0.2)  # of training, validation and test, of the split with many labels
TRAIN_A_CLASS = 20  # of the few-label split
VALIDATION = 500  # nodes of the few-label split, at most a third of what training leaves


def split_graph(graph: TextGraph, kind: str, seed: int) -> TextGraph:
    """The graph with a split drawn anew: stratified 60/20/20, or 20 training nodes a class.

    Nodes of one group are never graded by one another: where only some are trained on, the others
    are in no part of the split.
    """
    if kind == "60/20/20":
        splits = random_split(graph.labels, SHARES, seed, graph.groups)
        return replace(graph, splits=splits)
    generator = np.random.default_rng([seed, 5])
    labeled = generator.permutation(np.flatnonzero(graph.labels != UNLABELED))
    chosen = [
        labeled[graph.labels[labeled] == label][:TRAIN_A_CLASS]
        for label in range(graph.num_classes)
    ]
    train = np.concatenate(chosen)
    groups = np.arange(graph.num_nodes) if graph.groups is None else graph.groups
    rest = apart(labeled, train, groups)
    val = rest[: min(VALIDATION, len(rest) // 3)]
    parts = {"train": train, "val": val, "test": apart(rest, val, groups)}
    return replace(graph, splits={name: np.sort(nodes) for name, nodes in parts.items()})


def apart(
    nodes: NDArray[np.int64], others: NDArray[np.int64], groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The nodes of groups that the others have none of, in their order; groups: int64 [N]."""
    return nodes[~np.isin(groups[nodes], groups[others])]
