"""Splits of an evaluation."""

from dataclasses import replace

import numpy as np

from graph import UNLABELED, TextGraph, random_split

SHARES = (0.6, 0.2, 0.2)  # of training, validation and test, of the split with many labels
TRAIN_A_CLASS = 20  # of the few-label split
VALIDATION = 500  # nodes of the few-label split, at most a third of what training leaves


def split_graph(graph: TextGraph, kind: str, seed: int) -> TextGraph:
    """The graph with a split drawn anew: stratified 60/20/20, or 20 training nodes a class."""
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
    rest = labeled[~np.isin(labeled, train)]
    count = min(VALIDATION, len(rest) // 3)
    return replace(
        graph,
        splits={
            "train": np.sort(train),
            "val": np.sort(rest[:count]),
            "test": np.sort(rest[count:]),
        },
    )
