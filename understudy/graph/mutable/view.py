"""The graph at one version, as readers hold it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency, sorted_distinct
from understudy.graph.layers.neighborhoods import Neighborhoods
from understudy.graph.mutable.id_index import rows_of_ids
from understudy.graph.mutable.lists import NeighborLists
from understudy.graph.mutable.versions import Version, VersionedMap
from understudy.graph.text_graph import TextGraph


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node that differs from the base; the id of a removed one is empty."""

    id: str
    text: str
    label: int  # index into the graph's label names, or -1


REMOVED = NodeRecord("", "", -1)
ROW_BITS = 32  # two rows are encoded in one number


class Vocabulary:
    """Label names, the base's first; a name keeps its index, and all versions share them.

    One writer at a time adds names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def add(self, names: Iterable[str]) -> None:
        """Appends new names."""
        self.names = tuple(dict.fromkeys([*self.names, *names]))


@dataclass(frozen=True, slots=True)
class GraphParts:
    """What all versions share: a base that never changes, and the changes on top of it.

    Attributes:
        base: ids, texts and labels of the first rows; its adjacency is only the initial one
    """

    base: TextGraph
    rows: VersionedMap[str, int]  # external id → row
    records: VersionedMap[int, NodeRecord]
    lists: NeighborLists
    vocabulary: Vocabulary


def open_parts(base: TextGraph) -> GraphParts:
    rows = VersionedMap(rows_of_ids(base.ids))
    return GraphParts(
        base, rows, VersionedMap(), NeighborLists(base.adjacency), Vocabulary(base.label_names)
    )


@dataclass(frozen=True, slots=True)
class GraphView:
    """The graph at a version; nodes are identified by row, and a removed node leaves a gap.

    Safe to share between threads and to keep for any time: a kept view keeps the old values of what
    was changed since.
    """

    parts: GraphParts
    version: Version
    num_rows: int  # rows in use, including gaps
    num_nodes: int
    num_edges: int  # undirected

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels that nodes have, or may be given; a model may know others."""
        return self.parts.vocabulary.names

    def row_of(self, node_id: str) -> int | None:
        """The row of a stored node, or None."""
        return self.parts.rows.get(self.version, node_id)

    def rows_of(self, node_ids: Sequence[str]) -> list[int | None]:
        """The rows of some nodes; None for those that are not stored."""
        return self.parts.rows.get_all(self.version, node_ids)

    def row_array(self, node_ids: Sequence[str]) -> NDArray[np.int64]:
        """The rows of some nodes; int64 [B], -1 for those that are not stored."""
        rows = self.rows_of(node_ids)
        try:
            return np.array(rows, dtype=np.int64)
        except TypeError:  # rare: it contains None
            return np.array([-1 if row is None else row for row in rows], dtype=np.int64)

    def record(self, row: int) -> NodeRecord:
        """A node's id, text and label; `REMOVED` for a gap."""
        changed = self.parts.records.get(self.version, row)
        if changed is not None:
            return changed
        base = self.parts.base
        return NodeRecord(base.ids[row].as_py(), base.texts[row].as_py(), int(base.labels[row]))

    def id(self, row: int) -> str:
        changed = self.parts.records.get(self.version, row)
        return changed.id if changed is not None else str(self.parts.base.ids[row].as_py())

    def text(self, row: int) -> str:
        changed = self.parts.records.get(self.version, row)
        return changed.text if changed is not None else str(self.parts.base.texts[row].as_py())

    def label(self, row: int) -> int:
        """Index into `label_names`, or -1."""
        changed = self.parts.records.get(self.version, row)
        return changed.label if changed is not None else int(self.parts.base.labels[row])

    def neighbors(self, row: int) -> NDArray[np.int32]:
        """int32 [degree], sorted rows."""
        return self.parts.lists.row(self.version, row)

    def linked(self, first: int, second: int) -> bool:
        near = self.neighbors(first)
        position = int(near.searchsorted(second))
        return position < len(near) and int(near[position]) == second

    def all_linked(self, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [E]: which pairs of rows, int64 [E, 2], are linked; rows beyond the end are not."""
        degrees = self.degrees(pairs.ravel()).reshape(-1, 2)
        swapped = degrees[:, 0] > degrees[:, 1]
        owners = np.where(swapped, pairs[:, 1], pairs[:, 0])  # the end with the shorter list
        others = np.where(swapped, pairs[:, 0], pairs[:, 1])
        rows = sorted_distinct(owners)
        listed = keys_of(rows, self.adjacent(rows))
        keys = (owners << ROW_BITS) | others
        places = np.searchsorted(listed, keys)
        linked: NDArray[np.bool_] = np.append(listed, -1)[places] == keys
        return linked

    def degrees(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """int64 [B]."""
        return self.parts.lists.degrees.take(self.version, rows).astype(np.int64)

    def neighborhoods(self, rows: NDArray[np.int64]) -> Neighborhoods:
        """The neighbourhoods of stored nodes (int64 [B])."""
        near = self.adjacent(rows)
        indices = near.indices.astype(np.int64)
        return Neighborhoods(near.indptr, indices, self.degrees(indices))

    def adjacent(self, rows: NDArray[np.int64]) -> Adjacency:
        """The neighbour lists of stored nodes (int64 [B]), as rows of this view."""
        return self.parts.lists.take(self.version, rows)

    def unseen_neighborhoods(self, neighbors: Sequence[NDArray[np.int64]]) -> Neighborhoods:
        """The neighbourhoods of nodes that are not stored, from their neighbours' rows.

        Stored nodes do not see the new ones, so their degrees stay as they are.
        """
        if len(neighbors) == 1:
            indices = neighbors[0]
            indptr = np.array([0, len(indices)])
        else:
            indices = np.concatenate(neighbors)
            indptr = np.zeros(len(neighbors) + 1, dtype=np.int64)
            np.cumsum([len(row) for row in neighbors], out=indptr[1:])
        return Neighborhoods(indptr, indices, self.degrees(indices))

    def live_rows(self) -> NDArray[np.int64]:
        """int64 [num_nodes]: the rows that are not gaps, in order."""
        alive = np.ones(self.num_rows, dtype=np.bool_)
        for row, record in self.parts.records.items(self.version).items():
            alive[row] = record is not REMOVED
        return np.flatnonzero(alive)


def keys_of(rows: NDArray[np.int64], near: Adjacency) -> NDArray[np.int64]:
    """Encodes each list entry as one number, row and neighbour; sorted if the rows are."""
    return np.repeat(rows << ROW_BITS, near.degrees) | near.indices
