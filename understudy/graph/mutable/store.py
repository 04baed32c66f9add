"""A graph that changes while it is read."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency, sorted_distinct
from understudy.graph.mutable.draft import ABSENT, Draft
from understudy.graph.mutable.versions import Undo, Version
from understudy.graph.mutable.view import REMOVED, ROW_BITS, GraphView, keys_of, open_parts
from understudy.graph.text_graph import TextGraph


@dataclass(frozen=True, slots=True)
class GraphChange:
    """The net effect of a draft: an edge that was added and removed again is not in it.

    Shapes:
        texts: int64, sorted rows with a new text, including new nodes
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

    The steps of a change are `draft`, then `begin`, `write` and `publish`, or `abandon` instead of
    `publish`. Other versioned tables may be written between `begin` and `publish`, under the same
    undo; they get the same version.
    """

    def __init__(self, base: TextGraph, number: int = 0) -> None:
        """Starts from a graph that never changes.

        Args:
            number: the graph's version.
        """
        parts = open_parts(base)
        self.view = GraphView(
            parts, Version(number), base.num_nodes, base.num_nodes, base.adjacency.num_edges
        )
        self.free_rows: list[int] = []  # gaps, filled from the end
        self.own_rows: dict[str, int] = {}  # rows reserved for base nodes that were removed

    def draft(self) -> Draft:
        """An empty set of changes of the newest view."""
        return Draft(self.view, self.free_rows, self.own_rows)

    def begin(self) -> Undo:
        """Starts a change; what readers hold no longer changes."""
        undo = self.view.version.undo = Undo()
        return undo

    def write(self, draft: Draft, undo: Undo, batches: int) -> tuple[GraphView, GraphChange]:
        """Makes a draft's changes, invisible to readers.

        Args:
            batches: added to the version number.

        Returns:
            The view to publish, and its differences.
        """
        old, parts = self.view, self.view.parts
        parts.vocabulary.add(draft.new_labels)  # only the next version has such a label
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
        new_rows = [row for row in draft.new_rows if row >= old.num_rows]
        added, gone = self.write_lists(draft, undo, old.num_rows + len(new_rows))
        born = sum(draft.records[row] is not REMOVED for row in draft.new_rows)
        died = sum(row not in draft.new_rows for row in removed)
        view = GraphView(
            parts,
            Version(old.version.number + batches),
            old.num_rows + len(new_rows),
            old.num_nodes + born - died,
            old.num_edges + len(added) - len(gone),
        )
        touched = np.concatenate([sorted_rows(draft.new_rows), added.ravel(), gone.ravel()])
        change = GraphChange(
            sorted_rows(texts), sorted_rows(removed), added, gone, sorted_distinct(touched)
        )
        return view, change

    def write_lists(
        self, draft: Draft, undo: Undo, num_rows: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Writes neighbour lists and degrees; returns the edges added and removed."""
        lists = self.view.parts.lists
        lists.reserve(num_rows)
        pairs, linked = draft.edges.states()
        different = linked != self.view.all_linked(pairs)
        added, gone = pairs[different & linked], pairs[different & ~linked]
        if len(added) or len(gone):
            lists.put(undo, *changed_lists(self.view, added, gone))
        return added, gone

    def publish(self, view: GraphView, draft: Draft, change: GraphChange) -> GraphView:
        """Makes a written view the newest; returns the view that readers get."""
        undo = self.view.version.undo
        assert undo is not None
        undo.next = view.version
        filled = len(self.free_rows) - min(len(self.free_rows), len(draft.taken))
        base = self.view.parts.base
        further = change.removed[change.removed >= base.num_nodes]
        self.free_rows = [*self.free_rows[:filled], *further.tolist()]
        for node_id, row in draft.left.items():
            if draft.records[row] is REMOVED:
                self.own_rows[node_id] = row
        for row in draft.new_rows.keys() - draft.taken.keys():
            if draft.records[row] is not REMOVED:
                del self.own_rows[draft.records[row].id]
        lists = view.parts.lists
        if lists.used > lists.bound:
            view = replace(view, parts=replace(view.parts, lists=lists.repacked(view.num_rows)))
        self.view = view
        return view

    def abandon(self) -> None:
        """Undoes a change; the newest view is as before, with a new version object.

        Readers that saw a changed value still find its note at the version that they hold.
        """
        undo = self.view.version.undo
        assert undo is not None
        undo.restore()
        undo.next = Version(self.view.version.number)
        self.view = replace(self.view, version=undo.next)

    def adopt(self, view: GraphView, adjacency: Adjacency) -> None:
        """Makes the compacted adjacency of an earlier view the base; rows and versions stay.

        Lists that changed since that view stay on top of it. Readers keep what they hold.

        Args:
            adjacency: see `understudy.graph.mutable.materialize.whole_adjacency`; may be computed
                while others write.
        """
        parts = self.view.parts
        if view.parts.lists is not parts.lists:
            return  # another compaction came first
        recent = parts.lists.changed(view.version)
        lists = parts.lists.over(adjacency, recent, self.view.num_rows)
        self.view = replace(self.view, parts=replace(parts, lists=lists))


def changed_lists(
    view: GraphView, added: NDArray[np.int64], gone: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Adjacency]:
    """The rows at the ends of changed edges, and their new lists."""
    rows = sorted_distinct(np.concatenate([added.ravel(), gone.ravel()]))
    keys = keys_of(rows, view.adjacent(rows))
    keys = np.delete(keys, np.searchsorted(keys, both_keys(gone)))
    plus = both_keys(added)
    keys = np.insert(keys, np.searchsorted(keys, plus), plus)
    starts = np.searchsorted(keys, rows << ROW_BITS)
    indices = (keys & (2**ROW_BITS - 1)).astype(np.int32)
    return rows, Adjacency(np.append(starts, len(keys)), indices)


def both_keys(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Edges [e, 2] in both directions, encoded as in `keys_of`, sorted."""
    keys = np.concatenate([edges, edges[:, ::-1]]) << np.array([ROW_BITS, 0])
    return np.sort(keys[:, 0] | keys[:, 1])


def sorted_rows(rows: Iterable[int]) -> NDArray[np.int64]:
    return np.array(sorted(rows), dtype=np.int64)
