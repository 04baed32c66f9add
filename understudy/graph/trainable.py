"""Checks that a graph suffices to train a student, without importing torch, which loads slowly."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.graph.errors import UntrainableError
from understudy.graph.folder import load_graph
from understudy.graph.splits import labeled_nodes
from understudy.graph.text_graph import UNLABELED, TextGraph

GRADED_FROM = 3  # nodes per class: enough for a random split to give train, test and val one each


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
    """Advice on how to get a labelled node into a split."""
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
    """Refuses a graph with fewer than two classes, or with a class without training nodes.

    Raises:
        UntrainableError: it is one of these, or train has no labelled node.
    """
    if graph.num_classes < 2:
        found = f"one class, {graph.label_names[0]!r}" if graph.label_names else "no labels"
        raise UntrainableError(
            f"{graph.name} has {found}; at least 2 classes are needed: name the column with the "
            "labels when importing it, or label some nodes"
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


def check_figures(
    folder: Path, meta: Mapping[str, Any], needed: Sequence[str] = ("train", "val")
) -> None:
    """Like `check_trainable`, from a graph's metadata; loads the graph only to explain a refusal.

    Args:
        meta: its meta.json.
        needed: splits that must hold a node; empty if splits are drawn later.

    Raises:
        UntrainableError: it has fewer than two classes, or an empty split.
    """
    if len(meta["label_names"]) < 2 or not all(meta["splits"].get(name) for name in needed):
        check_trainable(load_graph(folder))
