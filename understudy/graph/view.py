"""The graph as it stands at one version: what readers hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency
from understudy.graph.neighborhoods import Neighborhoods
from understudy.graph.text_graph import TextGraph
from understudy.graph.versions import Version, VersionedMap, VersionedTable


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node that is not as in the base; the id of a removed one is empty."""

    id: str
    text: str
    label: int  # position in the graph's label names, or -1


REMOVED = NodeRecord("", "", -1)


class Vocabulary:
    """Names of labels, those of the base first; a name keeps its place, and all versions share it.

    One writer at a time adds names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def add(self, names: Iterable[str]) -> None:
        """Takes further names behind those that it has."""
        self.names = tuple(dict.fromkeys([*self.names, *names]))


@dataclass(frozen=True, slots=True)
class GraphParts:
    """What all versions share: a base that never changes, and what was put over it.

    Shapes:
        base: ids, texts and labels of the first rows; its adjacency is only the first one
        adjacency: the neighbours of rows that have no list of their own in `lists`
        lists: row → its neighbours' rows, int32, sorted
        degrees: int32 [rows]
        overlaid: bool [rows], whether `lists` may hold the row; never unset
    """

    base: TextGraph
    adjacency: Adjacency
    rows: VersionedMap[str, int]  # external id → row
    records: VersionedMap[int, NodeRecord]
    lists: VersionedMap[int, NDArray[np.int32]]
    degrees: VersionedTable
    overlaid: VersionedTable
    vocabulary: Vocabulary


def open_parts(base: TextGraph) -> GraphParts:
    rows: VersionedMap[str, int] = VersionedMap()
    rows.current = dict(zip(base.ids.to_pylist(), range(base.num_nodes), strict=True))
    # Plain views: taking a slice of a memmap costs several times more.
    indptr, indices = np.asarray(base.adjacency.indptr), np.asarray(base.adjacency.indices)
    return GraphParts(
        base,
        Adjacency(indptr, indices),
        rows,
        VersionedMap(),
        VersionedMap(),
        VersionedTable(base.adjacency.degrees.astype(np.int32)),
        VersionedTable(np.zeros(base.num_nodes, dtype=np.bool_)),
        Vocabulary(base.label_names),
    )


@dataclass(frozen=True, slots=True)
class GraphView:
    """The graph at a version; nodes are named by their row, and a removed node leaves a gap.

    Safe to share between threads and to keep for as long as wanted: a kept view keeps the old
    values of what was changed since.
    """

    parts: GraphParts
    version: Version
    num_rows: int  # rows in use, gaps included
    num_nodes: int
    num_edges: int  # undirected

    @property
    def label_names(self) -> tuple[str, ...]:
        """That nodes have, or may be given; a model may know others."""
        return self.parts.vocabulary.names

    def row_of(self, node_id: str) -> int | None:
        """The row of a stored node, or None."""
        return self.parts.rows.get(self.version, node_id)

    def rows_of(self, node_ids: Sequence[str]) -> list[int | None]:
        """The rows of some nodes, None for those that are not stored."""
        return self.parts.rows.get_all(self.version, node_ids)

    def row_array(self, node_ids: Sequence[str]) -> NDArray[np.int64]:
        """The rows of some nodes; int64 [B], -1 for those that are not stored."""
        found = self.rows_of(node_ids)
        try:
            return np.array(found, dtype=np.int64)
        except TypeError:  # a None in it, which is the exception
            return np.array([-1 if row is None else row for row in found], dtype=np.int64)

    def record(self, row: int) -> NodeRecord:
        """A node's id, text and label; `REMOVED` for a gap."""
        found = self.parts.records.get(self.version, row)
        if found is not None:
            return found
        base = self.parts.base
        return NodeRecord(base.ids[row].as_py(), base.texts[row].as_py(), int(base.labels[row]))

    def id(self, row: int) -> str:
        found = self.parts.records.get(self.version, row)
        return found.id if found is not None else str(self.parts.base.ids[row].as_py())

    def text(self, row: int) -> str:
        found = self.parts.records.get(self.version, row)
        return found.text if found is not None else str(self.parts.base.texts[row].as_py())

    def label(self, row: int) -> int:
        """Position in `label_names`, or -1."""
        found = self.parts.records.get(self.version, row)
        return found.label if found is not None else int(self.parts.base.labels[row])

    def original(self, row: int) -> bool:
        """Whether the row still is, changed or not, the node that the base has there.

        A row that another node took belongs to no split of the base.
        """
        base = self.parts.base
        if row >= base.num_nodes:
            return False
        found = self.parts.records.get(self.version, row)
        return found is None or found.id == base.ids[row].as_py()

    def neighbors(self, row: int) -> NDArray[np.int32]:
        """int32 [degree], sorted rows."""
        found = self.parts.lists.get(self.version, row)
        if found is not None:
            return found
        adjacency = self.parts.adjacency
        return adjacency.neighbors(row) if row < adjacency.num_nodes else np.empty(0, np.int32)

    def linked(self, first: int, second: int) -> bool:
        near = self.neighbors(first)
        position = int(near.searchsorted(second))
        return position < len(near) and int(near[position]) == second

    def degrees(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [B]."""
        return self.parts.degrees.take(self.version, rows).astype(np.int64)

    def neighborhoods(self, rows: NDArray[np.int64]) -> Neighborhoods:
        """The neighbourhoods of stored nodes (int64 [B])."""
        own = self.degrees(rows)
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(own, out=indptr[1:])
        indices = np.empty(indptr[-1], dtype=np.int64)
        plain = np.ones(len(rows), dtype=np.bool_)
        for position in np.flatnonzero(self.parts.overlaid.newest(rows)).tolist():
            near = self.parts.lists.get(self.version, int(rows[position]))
            if near is not None:
                plain[position] = False
                indices[indptr[position] : indptr[position + 1]] = near
        plain &= own > 0  # also leaves out rows that the base does not have
        lengths, starts = own[plain], indptr[:-1][plain]
        steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        sources = np.repeat(self.parts.adjacency.indptr[rows[plain]], lengths) + steps
        indices[np.repeat(starts, lengths) + steps] = self.parts.adjacency.indices[sources]
        return Neighborhoods(indptr, indices, self.degrees(indices))

    def unseen_neighborhoods(self, neighbors: Sequence[NDArray[np.int64]]) -> Neighborhoods:
        """The neighbourhoods of nodes that are not stored, from their neighbours' rows.

        Stored nodes do not see the new ones: their degrees stay as they are.
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
        """int64 [num_nodes]: the rows that are no gaps, in order."""
        alive = np.ones(self.num_rows, dtype=np.bool_)
        for row, record in self.parts.records.items(self.version).items():
            alive[row] = record is not REMOVED
        return np.flatnonzero(alive)
