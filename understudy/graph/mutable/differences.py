"""The changes that turn a graph into another graph of its lineage."""

from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.counting import counted
from understudy.graph.csr import Adjacency
from understudy.graph.mutable.draft import Draft
from understudy.graph.text_graph import UNLABELED, TextGraph


def become(draft: Draft, wanted: TextGraph) -> None:
    """Adds to an empty draft the changes that give its graph another's nodes, labels and edges.

    Nodes are matched by id; the draft's graph keeps its rows and splits. The graph under the draft
    must not have changed since it was read.
    """
    draft.acknowledged = True
    base = draft.view.parts.base
    ids: list[str] = wanted.ids.to_pylist()
    rows = draft.view.row_array(ids)  # int64 [N wanted], -1 for a new node
    known = rows >= 0
    gone = np.ones(base.num_nodes, dtype=np.bool_)
    gone[rows[known]] = False
    for row in np.flatnonzero(gone).tolist():
        draft.remove(row)
    names = wanted.label_names
    for place in np.flatnonzero(~known | different_nodes(base, wanted, rows)).tolist():
        label = int(wanted.labels[place])
        name = None if label == UNLABELED else names[label]
        rows[place] = draft.put(ids[place], wanted.texts[place].as_py(), name)
    change_edges(draft, base.adjacency, wanted.adjacency, rows, gone)
    draft.log.clear()  # these changes are never taken back


def different_nodes(
    base: TextGraph, wanted: TextGraph, rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """bool [N wanted]: the nodes whose text or label differs from the base."""
    return other_texts(base, wanted, rows) | other_labels(base, wanted, rows)


def other_texts(base: TextGraph, wanted: TextGraph, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [N wanted]: the nodes whose text differs from the base; False for new nodes."""
    different = np.zeros(len(rows), dtype=np.bool_)
    known = np.flatnonzero(rows >= 0)
    old = base.texts.take(pa.array(rows[known]))
    new = wanted.texts.take(pa.array(known))
    different[known] = pc.not_equal(old, new).to_numpy(zero_copy_only=False)
    return different


def other_labels(base: TextGraph, wanted: TextGraph, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [N wanted]: the nodes whose label differs from the base, see `other_texts`."""
    different = np.zeros(len(rows), dtype=np.bool_)
    known = np.flatnonzero(rows >= 0)
    there = rows[known]
    position_of = {name: place for place, name in enumerate(base.label_names)}
    renumber = np.full(wanted.num_classes + 1, UNLABELED, dtype=np.int64)  # -1 picks the last
    renumber[:-1] = [position_of.get(name, -2) for name in wanted.label_names]
    different[known] = renumber[wanted.labels[known]] != base.labels[there]
    return different


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of differences between two graphs of one lineage.

    Attributes:
        added, removed: nodes.
        reworded: nodes with another text.
        labelled: nodes whose label was added, changed or removed, including new nodes.
        linked, unlinked: edges.
    """

    added: int
    removed: int
    reworded: int
    labelled: int
    linked: int
    unlinked: int

    @property
    def nothing(self) -> bool:
        """Whether there is no difference."""
        return not any(astuple(self))

    def __str__(self) -> str:
        return (
            f"{counted(self.added, 'node')} added, {self.removed:,} removed, {self.reworded:,} "
            f"reworded; {counted(self.linked, 'edge')} added, {self.unlinked:,} removed; "
            f"{counted(self.labelled, 'label')} changed"
        )


def count_differences(base: TextGraph, wanted: TextGraph) -> Counts:
    """Counts what `become` would change; nodes are matched by id."""
    rows = np.array([base.index_of.get(name, -1) for name in wanted.ids.to_pylist()], np.int64)
    known = rows >= 0
    fresh = np.flatnonzero(~known)
    labelled = int(other_labels(base, wanted, rows).sum())
    labelled += int((wanted.labels[fresh] != UNLABELED).sum())
    rows[fresh] = base.num_nodes + np.arange(len(fresh))  # beyond all rows of the base
    old = edge_keys(np.asarray(base.adjacency.edges(), dtype=np.int64))
    new = edge_keys(rows[wanted.adjacency.edges()])
    return Counts(
        added=len(fresh),
        removed=base.num_nodes - int(known.sum()),
        reworded=int(other_texts(base, wanted, np.where(known, rows, -1)).sum()),
        labelled=labelled,
        linked=len(np.setdiff1d(new, old)),
        unlinked=len(np.setdiff1d(old, new)),
    )


def change_edges(
    draft: Draft,
    base: Adjacency,
    wanted: Adjacency,
    rows: NDArray[np.int64],
    gone: NDArray[np.bool_],
) -> None:
    """Adds and removes edges; the edges of removed nodes are gone already.

    Shapes:
        rows: int64 [N wanted], the row of every wanted node in the draft
        gone: bool [N base]
    """
    old = np.asarray(base.edges(), dtype=np.int64)
    old = edge_keys(old[~gone[old].any(axis=1)])
    new = edge_keys(rows[wanted.edges()])
    for keys, linked in ((np.setdiff1d(old, new), False), (np.setdiff1d(new, old), True)):
        for first, second in zip((keys >> 32).tolist(), (keys & 0xFFFFFFFF).tolist(), strict=True):
            draft.link(first, second, linked)


def edge_keys(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Encodes each undirected edge as one number; rows have 31 bits."""
    return np.asarray((edges.min(axis=1) << 32) | edges.max(axis=1), dtype=np.int64)
