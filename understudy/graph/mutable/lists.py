"""The neighbour lists of a graph that changes while it is read."""

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency
from understudy.graph.mutable.versions import Undo, Version, VersionedTable
from understudy.graph.ragged import ends, positions

ROOM = 2**20  # unused entries that are tolerated, besides as many as are in use


class NeighborLists:
    """All versions of all neighbour lists; for one writer, and readers without a lock.

    A changed list is appended and never overwritten, so a reader always finds the lists that its
    version's starts and degrees point to.

    Shapes:
        base: int32, the lists as they were given; never written to
        grown: int32, lists that changed since; the first `used` entries are in use
        starts: int64 [rows], where a list begins in the concatenation of both
        degrees: int32 [rows]
    """

    def __init__(self, adjacency: Adjacency, degrees: VersionedTable | None = None) -> None:
        """Starts from lists that are never written to.

        Args:
            degrees: the versioned degrees, if they exist already.
        """
        # Plain arrays: slicing a memmap costs several times more.
        self.base = np.asarray(adjacency.indices)
        self.starts = VersionedTable(np.array(adjacency.indptr[:-1], dtype=np.int64))
        self.degrees = degrees or VersionedTable(adjacency.degrees.astype(np.int32))
        self.grown = np.empty(0, np.int32)
        self.used = 0
        self.bound = ROOM  # of `used`, beyond which the lists are repacked

    def row(self, version: Version, row: int) -> NDArray[np.int32]:
        """One list, sorted; int32 [degree]."""
        start = self.starts.value(version, row)
        stop = start + self.degrees.value(version, row)
        split = len(self.base)
        if start < split:
            return self.base[start:stop]
        return self.grown[start - split : stop - split]

    def take(self, version: Version, rows: NDArray[np.integer]) -> Adjacency:
        """Some lists, each sorted."""
        lengths = self.degrees.take(version, rows)
        starts = self.starts.take(version, rows)
        grown = self.grown  # read after the starts, so that it holds what they point to
        indptr = ends(lengths)
        places = positions(starts, indptr)
        split = len(self.base)
        if int(starts.max(initial=0)) < split:
            return Adjacency(indptr, self.base.take(places))
        if split == 0:
            return Adjacency(indptr, grown.take(places))
        indices = self.base.take(places, mode="clip")
        further = np.flatnonzero(places >= split)
        indices[further] = grown.take(places[further] - split)
        return Adjacency(indptr, indices)

    def put(self, undo: Undo, rows: NDArray[np.int64], near: Adjacency) -> None:
        """Replaces the lists of sorted, distinct rows."""
        stop = self.used + len(near.indices)
        if stop > len(self.grown):
            room = np.zeros(stop + max(stop, 1_024), np.int32)
            room[: self.used] = self.grown[: self.used]
            self.grown = room
        self.grown[self.used : stop] = near.indices
        self.starts.put(undo, rows, len(self.base) + self.used + near.indptr[:-1])
        self.degrees.put(undo, rows, near.degrees.astype(np.int32))
        self.used = stop

    def reserve(self, rows: int) -> None:
        """Makes room for that many rows; new rows have empty lists."""
        self.starts.reserve(rows)
        self.degrees.reserve(rows)

    def changed(self, version: Version) -> NDArray[np.int64]:
        """Sorted rows whose lists were put since a version."""
        notes = [rows for undo in version.undos() for rows, _ in undo.tables.get(self.starts, ())]
        return np.unique(np.concatenate([np.empty(0, np.int64), *notes]))

    def over(self, adjacency: Adjacency, rows: NDArray[np.int64], total: int) -> "NeighborLists":
        """The newest version on top of another base, from which only some rows differ.

        Args:
            rows: sorted; those that differ.
            total: number of rows.
        """
        lists = NeighborLists(adjacency, self.degrees)
        lists.reserve(total)
        now = Version(0)
        near = self.take(now, rows)
        lists.grown, lists.used = near.indices, len(near.indices)
        lists.starts.overwrite(rows, len(lists.base) + near.indptr[:-1])
        lists.bound = ROOM + 2 * lists.used
        return lists

    def repacked(self, total: int) -> "NeighborLists":
        """The newest version without unused entries.

        Args:
            total: number of rows.
        """
        starts = self.starts.newest(np.arange(total))
        rows = np.flatnonzero(starts >= len(self.base))
        indptr = np.append(np.where(starts < len(self.base), starts, 0), len(self.base))
        return self.over(Adjacency(indptr, self.base), rows, total)
