"""Splits a graph for an evaluation, and removes nodes that should be unseen."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.errors import EvaluationError
from understudy.graph import UNLABELED, TextGraph, random_split
from understudy.graph.errors import UntrainableError
from understudy.graph.splits import labeled_nodes

OWN = "own"  # the split that the graph came with
SHARES = (0.6, 0.2, 0.2)  # of training, validation and test, of the split with many labels
TRAIN_A_CLASS: Mapping[str, int] = {"20-per-class": 20, "5-per-class": 5}
SPLIT_KINDS = ("60/20/20", *TRAIN_A_CLASS, OWN)
VALIDATION = 500  # nodes of a few-label split, at most a third of what training leaves
WITHHELD = 0.2  # share of test nodes for the accuracy on unseen nodes


def check_splits(kind: str, splits: int) -> None:
    """Refuses an unknown kind of split, or more splits than it has.

    Raises:
        EvaluationError: says what to choose.
    """
    if kind not in SPLIT_KINDS:
        raise EvaluationError(
            f"unknown kind of split {kind!r}; choose from {', '.join(SPLIT_KINDS)}"
        )
    if kind == OWN and splits > 1:
        raise EvaluationError(
            "the graph's own split is one: ask for one split (--splits 1) and more seeds"
        )


def check_own(name: str, nodes: Mapping[str, int]) -> None:
    """Refuses to evaluate on a graph's own split if its test part is empty.

    Args:
        name: the graph's.
        nodes: labelled ones, by part of the split.

    Raises:
        UntrainableError: there is no node to test.
    """
    if not nodes.get("test"):
        raise UntrainableError(
            f"{name} has no labelled node in its test split; give some nodes the split 'test', or "
            "take a --split-kind that is drawn"
        )


def split_graph(graph: TextGraph, kind: str, seed: int, withheld: float = 0.0) -> TextGraph:
    """The graph with a newly drawn split, stratified 60/20/20 or some training nodes per class, or
    with its own; optionally a share of test nodes is removed, with all edges (`withheld_nodes`).

    Nodes of one group are never graded by one another: if only some are trained on, the others are
    in no part of the split.
    """
    split = graph if kind == OWN else replace(graph, splits=drawn(graph, kind, seed))
    if not withheld:
        return split
    out = withheld_nodes(labeled_nodes(split, "test"), seed, withheld)
    return split.subgraph(np.setdiff1d(np.arange(graph.num_nodes, dtype=np.int64), out))


def drawn(graph: TextGraph, kind: str, seed: int) -> Mapping[str, NDArray[np.int64]]:
    """Train, validation and test of a drawn split."""
    if kind not in TRAIN_A_CLASS:
        return random_split(graph.labels, SHARES, seed, graph.groups)
    generator = np.random.default_rng([seed, 5])
    labeled = generator.permutation(np.flatnonzero(graph.labels != UNLABELED))
    chosen = [
        labeled[graph.labels[labeled] == label][: TRAIN_A_CLASS[kind]]
        for label in range(graph.num_classes)
    ]
    train = np.concatenate(chosen)
    groups = np.arange(graph.num_nodes) if graph.groups is None else graph.groups
    # Shuffled again, since small classes, whose first nodes were all taken, are at the end.
    rest = generator.permutation(apart(labeled, train, groups))
    val = rest[: min(VALIDATION, len(rest) // 3)]
    parts = {"train": train, "val": val, "test": apart(rest, val, groups)}
    return {name: np.sort(nodes) for name, nodes in parts.items()}


def apart(
    nodes: NDArray[np.int64], others: NDArray[np.int64], groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The nodes whose groups do not occur among the others, in order; groups: int64 [N]."""
    return nodes[~np.isin(groups[nodes], groups[others])]


def withheld_nodes(
    test: NDArray[np.int64], seed: int, share: float = WITHHELD
) -> NDArray[np.int64]:
    """A share of a split's labelled test nodes, ascending; the same for every recipe."""
    order = np.random.default_rng([seed, 20]).permutation(test)
    return np.sort(order[: round(share * len(order))])
