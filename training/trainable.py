"""Whether a graph has what training needs; told before anything is encoded."""

import numpy as np
from numpy.typing import NDArray

from training.errors import UntrainableError
from understudy.graph import UNLABELED, TextGraph

GRADED_FROM = 3  # nodes of a class, of which a random split gives train, test and val one each


def labeled_nodes(graph: TextGraph, split: str) -> NDArray[np.int64]:
    """int64: the labelled nodes of a split, rising; none where there is no such split."""
    members = graph.splits.get(split, np.empty(0, dtype=np.int64))
    labeled: NDArray[np.int64] = members[graph.labels[members] != UNLABELED]
    return labeled


def check_trainable(graph: TextGraph) -> None:
    """Refuses a graph from which no student can be trained and selected.

    Raises:
        UntrainableError: as in `check_classes`; or train or val holds no labelled node.
    """
    check_classes(graph)
    for name in ("train", "val"):
        if not len(labeled_nodes(graph, name)):
            raise UntrainableError(
                f"{graph.name} has no labelled node in its {name} split; {advice(graph, name)}"
            )


def advice(graph: TextGraph, split: str) -> str:
    """What gives a graph a labelled node in a split."""
    labeled = np.flatnonzero(graph.labels != UNLABELED)
    groups = labeled if graph.groups is None else graph.groups[labeled]
    apart = np.unique(np.stack([graph.labels[labeled], groups]), axis=1)[0]
    if np.bincount(apart, minlength=1).max() < GRADED_FROM:
        return f"label at least {GRADED_FROM} nodes of a class (of {GRADED_FROM} groups, if any)"
    return (
        f"give labelled nodes the split {split!r}, or import without splits to have them drawn, "
        "with a share for each of train, val and test in --fractions"
    )


def check_classes(graph: TextGraph) -> None:
    """Refuses a graph with fewer than two classes, or with one that nothing could learn.

    Raises:
        UntrainableError: it is such a graph, or no labelled node of train has some class.
    """
    if graph.num_classes < 2:
        found = f"one class, {graph.label_names[0]!r}" if graph.label_names else "no labels"
        raise UntrainableError(
            f"{graph.name} has {found}; at least 2 classes are needed: name the column with the "
            "labels when it is imported, or label some nodes"
        )
    labels = graph.labels[labeled_nodes(graph, "train")]
    counts = np.bincount(labels, minlength=graph.num_classes)
    missing = [graph.label_names[index] for index in np.flatnonzero(counts == 0)]
    if len(missing) == graph.num_classes:
        raise UntrainableError(
            f"{graph.name} has no labelled node in its train split; {advice(graph, 'train')}"
        )
    if missing:
        raise UntrainableError(
            f"{graph.name} has no training node of {', '.join(map(repr, missing[:5]))}"
            f"{' and others' if len(missing) > 5 else ''}; put a node of it into the split "
            "'train', or remove that label from its nodes, and import again"
        )
