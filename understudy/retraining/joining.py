"""Nodes that were labelled after the import are in no split: they may join train."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.text_graph import UNLABELED, TextGraph

HELD_OUT = ("val", "test")


@dataclass(frozen=True, slots=True)
class Joined:
    """A graph whose train has grown.

    Attributes:
        count: nodes that joined.
        held_back: that would have been in train beside their like in val or test.
    """

    graph: TextGraph
    count: int = 0
    held_back: int = 0

    @property
    def summary(self) -> str:
        """In words."""
        words = f"{self.count:,} labelled nodes of no split join train"
        if self.held_back:
            words += (
                f"; {self.held_back:,} stay out, being of one text or group with nodes of val or "
                "test"
            )
        return words


def join_train(graph: TextGraph) -> Joined:
    """Puts labelled nodes of no split into train; val and test stay as they are.

    A node stays out where one of val or test has the same text, or is of the same group: what is
    measured there would have been trained on. A graph without splits has no train to join.
    """
    if not graph.splits:
        return Joined(graph)
    inside = np.zeros(graph.num_nodes, dtype=np.bool_)
    for members in graph.splits.values():
        inside[members] = True
    outside = np.flatnonzero(~inside & (graph.labels != UNLABELED))
    alike = like_held_out(graph, outside)
    train = np.concatenate([graph.splits.get("train", np.empty(0, np.int64)), outside[~alike]])
    grown = replace(graph, splits={**graph.splits, "train": np.sort(train)})
    return Joined(grown, int((~alike).sum()), int(alike.sum()))


def like_held_out(graph: TextGraph, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [n]: which of the nodes share their text or their group with one of val or test."""
    none = np.empty(0, np.int64)
    held = np.concatenate([graph.splits.get(name, none) for name in HELD_OUT])
    texts = graph.texts.take(pa.array(held))
    alike = pc.is_in(graph.texts.take(pa.array(nodes)), texts).to_numpy(zero_copy_only=False)
    if graph.groups is not None:
        alike |= np.isin(graph.groups[nodes], graph.groups[held])
    return np.asarray(alike, dtype=np.bool_)


def labels_gone(known: TextGraph, kept: TextGraph) -> str:
    """Names of labels that the second graph lacks, as a line tells them; empty if there is none."""
    return ", ".join(repr(name) for name in known.label_names if name not in kept.label_names)
