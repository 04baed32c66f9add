"""A graph that changes while it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency
from understudy.graph.draft import ABSENT, Draft
from understudy.graph.text_graph import TextGraph
from understudy.graph.versions import Undo, Version, VersionedMap, VersionedTable
from understudy.graph.view import REMOVED, GraphView, open_parts


@dataclass(frozen=True, slots=True)
class GraphChange:
    """What a draft did, net: an edge that came and went is not in it.

    Shapes:
        texts: int64, sorted rows whose text is new, those of new nodes included
        removed: int64, sorted rows that became gaps
        added_edges, removed_edges: int64 [e, 2], each edge once
        touched: int64, sorted rows whose neighbours changed, and all new rows
    """

    texts: NDArray[np.int64]
    removed: NDArray[np.int64]
    added_edges: NDArray[np.int64]
    removed_edges: NDArray[np.int64]
    touched: NDArray[np.int64]


class GraphStore:
    """Holds the newest view; one writer at a time changes it, readers need no lock.

    A change: `draft`, then `begin`, `write` and `publish`, or `abandon` instead of `publish`.
    Other versioned tables may be written between `begin` and `publish`, under the same undo, and
    come out with the same version.
    """

    def __init__(self, base: TextGraph, number: int = 0) -> None:
        """Starts from a graph that never changes.

        Args:
            number: of the version that the graph has.
        """
        parts = open_parts(base)
        self.view = GraphView(
            parts, Version(number), base.num_nodes, base.num_nodes, base.adjacency.num_edges
        )
        self.free_rows: list[int] = []  # gaps, filled from the end

    def draft(self) -> Draft:
        """An empty set of changes of the newest view."""
        return Draft(self.view, self.free_rows)

    def begin(self) -> Undo:
        """Opens a change; what readers hold stays as it is from here on."""
        undo = self.view.version.undo = Undo()
        return undo

    def write(self, draft: Draft, undo: Undo, batches: int) -> tuple[GraphView, GraphChange]:
        """Makes a draft's changes, unseen by readers.

        Args:
            batches: by how many the version number rises.

        Returns:
            The view to publish, and what is different in it.
        """
        old, parts = self.view, self.view.parts
        parts.vocabulary.add(draft.new_labels)  # no version but the one to come has such a label
        for node_id, row in draft.rows.items():
            parts.rows.put(undo, node_id, None if row == ABSENT else row)
        texts = [
            row
            for row, record in draft.records.items()
            if record is not REMOVED and (row in draft.new_rows or record.text != old.text(row))
        ]
        removed = [row for row, record in draft.records.items() if record is REMOVED]
        for row, record in draft.records.items():
            parts.records.put(undo, row, record)
        added, gone = self.write_lists(draft, undo)
        new_rows = [row for row in draft.new_rows if row >= old.num_rows]
        born = sum(draft.records[row] is not REMOVED for row in draft.new_rows)
        died = sum(row not in draft.new_rows for row in removed)
        view = GraphView(
            parts,
            Version(old.version.number + batches),
            old.num_rows + len(new_rows),
            old.num_nodes + born - died,
            old.num_edges + len(added) - len(gone),
        )
        touched = {*draft.new_rows, *added.ravel().tolist(), *gone.ravel().tolist()}
        change = GraphChange(
            sorted_rows(texts), sorted_rows(removed), added, gone, sorted_rows(touched)
        )
        return view, change

    def write_lists(self, draft: Draft, undo: Undo) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Writes neighbour lists and degrees; returns the edges added and removed."""
        parts = self.view.parts
        added: list[tuple[int, int]] = []
        gone: list[tuple[int, int]] = []
        lists: dict[int, NDArray[np.int32]] = {row: np.empty(0, np.int32) for row in draft.new_rows}
        for row, others in draft.edges.items():
            plus = [n for n, on in others.items() if on and not draft.linked_before(row, n)]
            minus = [n for n, on in others.items() if not on and draft.linked_before(row, n)]
            added += [(row, other) for other in plus if row < other]
            gone += [(row, other) for other in minus if row < other]
            if plus or minus:
                near = lists[row] if row in lists else self.view.neighbors(row)
                lists[row] = changed_list(near, plus, minus)
        rows = sorted_rows(lists)
        parts.overlaid.reserve(int(rows[-1]) + 1 if len(rows) else 0)
        parts.overlaid.overwrite(rows, np.ones(len(rows), np.bool_))
        for row, near in lists.items():
            parts.lists.put(undo, row, near)
        degrees = np.array([len(lists[row]) for row in rows.tolist()], dtype=np.int32)
        parts.degrees.put(undo, rows, degrees)
        return edge_array(added), edge_array(gone)

    def publish(self, view: GraphView, draft: Draft, change: GraphChange) -> None:
        """Makes a written view the newest."""
        undo = self.view.version.undo
        assert undo is not None
        undo.next = view.version
        filled = len(self.free_rows) - min(len(self.free_rows), len(draft.new_rows))
        self.free_rows = [*self.free_rows[:filled], *change.removed.tolist()]
        self.view = view

    def abandon(self) -> None:
        """Takes a change back; the newest view is as before, under a version object of its own.

        Readers that saw a value of the change still find its note at the version that they hold.
        """
        undo = self.view.version.undo
        assert undo is not None
        undo.restore()
        undo.next = Version(self.view.version.number)
        self.view = replace(self.view, version=undo.next)

    def adopt(self, view: GraphView, adjacency: Adjacency) -> None:
        """Makes the compacted adjacency of an earlier view the base; rows and versions stay.

        Lists that changed since that view stay over it. Readers keep what they hold.

        Args:
            adjacency: see `understudy.graph.materialize.whole_adjacency`; may be computed while
                others write.
        """
        parts = self.view.parts
        if view.parts.lists is not parts.lists:
            return  # another compaction came first
        recent = parts.lists.changed(view.version)
        lists: VersionedMap[int, NDArray[np.int32]] = VersionedMap()
        current = parts.lists.current
        lists.current = {row: current[row] for row in recent if row in current}
        overlaid = VersionedTable(np.zeros(self.view.num_rows, dtype=np.bool_))
        rows = sorted_rows(recent)
        overlaid.overwrite(rows, np.ones(len(rows), np.bool_))
        parts = replace(parts, adjacency=adjacency, lists=lists, overlaid=overlaid)
        self.view = replace(self.view, parts=parts)


def changed_list(
    near: NDArray[np.int32], plus: Sequence[int], minus: Sequence[int]
) -> NDArray[np.int32]:
    """A sorted neighbour list with some added and some, all of them in it, removed."""
    if minus:
        near = np.delete(near, near.searchsorted(np.sort(np.array(minus, dtype=np.int32))))
    if plus:
        near = np.concatenate([near, np.array(plus, dtype=np.int32)])
        near.sort(kind="stable")  # of two runs: one pass
    return near


def sorted_rows(rows: "set[int] | list[int] | dict[int, NDArray[np.int32]]") -> NDArray[np.int64]:
    return np.array(sorted(rows), dtype=np.int64)


def edge_array(edges: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    return np.array(edges, dtype=np.int64).reshape(-1, 2)
