"""Adds nodes that were labelled after the import, and are in no split, to train."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.counting import counted
from understudy.graph.splits import untrained_members
from understudy.graph.text_graph import UNLABELED, TextGraph

HELD_OUT = ("val", "test")


@dataclass(frozen=True, slots=True)
class Joined:
    """A graph with an enlarged train split.

    Attributes:
        count: number of nodes that were added.
        held_back: number of nodes left out, because they resemble nodes of val or test.
    """

    graph: TextGraph
    count: int = 0
    held_back: int = 0

    @property
    def summary(self) -> str:
        """Describes the result in words."""
        were = "was" if self.count == 1 else "were"
        nodes = counted(self.count, "labelled node")
        words = f"{nodes} that {were} in no split {were} added to train"
        if self.held_back:
            words += (
                f"; {self.held_back:,} were not, since they share a text or group with nodes of "
                "val or test"
            )
        return words


def join_train(graph: TextGraph) -> Joined:
    """Adds labelled nodes of no split to train; val and test stay as they are.

    A node is left out if a node of val or test has the same text or group, because the evaluation
    would then include training data. A graph without splits stays as it is.
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
    """Whether each node shares its text or group with a node of val or test; bool [n]."""
    none = np.empty(0, np.int64)
    held = np.concatenate([graph.splits.get(name, none) for name in HELD_OUT])
    texts = graph.texts.take(pa.array(held))
    alike = pc.is_in(graph.texts.take(pa.array(nodes)), texts).to_numpy(zero_copy_only=False)
    if graph.groups is not None:
        alike |= np.isin(graph.groups[nodes], graph.groups[held])
    return np.asarray(alike, dtype=np.bool_)


def labels_gone(known: TextGraph, kept: TextGraph) -> str:
    """Lists the labels that the second graph lacks, for a message; empty if none."""
    return ", ".join(repr(name) for name in known.label_names if name not in kept.label_names)


def labels_untrained(graph: TextGraph) -> str:
    """Describes labels that nodes have, but none of train, in words; empty if there are none.

    A graph without train nodes has none, since it may get a split later.
    """
    if not len(graph.splits.get("train", ())):
        return ""
    unseen = untrained_members(graph)
    counts = Counter(graph.label_names[label] for label in graph.labels[unseen])
    found = ", ".join(f"{name!r} ({count:,} nodes)" for name, count in sorted(counts.items()))
    if not found:
        return ""
    return (
        f"no node of train has the label {found} any more, so no student can be trained: label "
        "another node so through the service and add it with --join-train, or remove the label "
        "from those nodes there"
    )
