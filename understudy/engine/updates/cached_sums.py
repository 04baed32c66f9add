"""Sums over the neighbours of stored nodes, updated by differences.

A linear layer's sum changes by the differences of the changed summands, so updating a node with
20,000 neighbours costs only its changed neighbours. With symmetric weights the summands are
activations scaled by their own node's degree, so that a changed degree is one more difference.

A sum is first computed when a change first reaches its node, and takes as much memory as one
activation of the node; nodes that no change came near take none. Differences are added in 32 bits.
A sum is recomputed after as many differences as its node has neighbours, so it is as exact as any
sum of so many numbers, even if a hub lost almost all of its neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from understudy.engine.updates.distinct import counted
from understudy.engine.updates.untouched import untouched
from understudy.graph.csr import Adjacency

NOT_KEPT = -1
FEW_CHANGES = 32  # any sum may take this many differences before it is recomputed
# If this many summands of mostly changed sums change at once, these sums are recomputed.
FRESH_SUMMANDS = 4_096
FEW_SUMMANDS = 512  # up to this many, making a sparse matrix takes longer than the sums
SUMS_A_STEP = 4_096  # sums per step, so that they and their differences stay in the cache


@dataclass(frozen=True, slots=True)
class Moved:
    """Nodes whose activation changed.

    Shapes:
        rows: int64 [X], sorted
        old, new: float32 [X, d], before and after
    """

    rows: NDArray[np.int64]
    old: NDArray[np.float32]
    new: NDArray[np.float32]


class KeptSums:
    """The kept sums of one layer's input; used by the writer only.

    Attributes:
        values: float32 [rows, d]; pages take memory once they are written to
        changes: int32 [rows], differences since the sum was computed, or NOT_KEPT
        written: rows written by the running change
    """

    def __init__(self, width: int, rows: int) -> None:
        self.values = untouched(rows, width)
        self.changes = np.full(rows, NOT_KEPT, np.int32)
        self.written: list[NDArray[np.integer]] = []

    def reserve(self, rows: int) -> None:
        """Makes room for that many rows."""
        missing = rows - len(self.changes)
        if missing <= 0:
            return
        more = max(missing, len(self.changes) // 8)
        kept = np.flatnonzero(self.changes != NOT_KEPT)
        values = untouched(len(self.changes) + more, self.values.shape[1])
        values[kept] = self.values[kept]
        self.values = values
        self.changes = np.concatenate([self.changes, np.full(more, NOT_KEPT, np.int32)])

    def has(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether the rows' sums are kept; bool [B]."""
        return np.asarray(self.changes[rows] != NOT_KEPT)

    def keep(self, rows: NDArray[np.integer], sums: NDArray[np.float32]) -> None:
        """Stores the sums [B, d] of some nodes."""
        self.written.append(rows)
        self.values[rows], self.changes[rows] = sums, 0

    def drop(self, rows: NDArray[np.integer]) -> None:
        self.changes[rows[rows < len(self.changes)]] = NOT_KEPT

    def drop_all(self) -> None:
        self.changes.fill(NOT_KEPT)

    def published(self) -> None:
        """Keeps the sums that the running change wrote."""
        self.written = []

    def take_back(self) -> None:
        """Drops the sums that the running change wrote."""
        for rows in self.written:
            self.drop(rows)
        self.written = []

    def add(
        self,
        near: Adjacency,
        differences: NDArray[np.float32],
        total: int,
        degrees: Callable[[NDArray[np.integer]], NDArray[np.int64]],
    ) -> NDArray[np.integer]:
        """Adds `differences[k]` to the kept sums of `near.neighbors(k)`.

        Args:
            total: number of rows.
            degrees: gives the number of summands of rows.

        Shapes:
            differences: float32 [X, d]

        Returns:
            The sorted, distinct rows in `near`, whether their sums are kept or not.
        """
        rows, counts = counted(near.indices, total)
        self.reserve(total)
        fits = self.usable(rows, counts, degrees(rows))
        chosen = rows[fits]
        if len(chosen):
            self.written.append(chosen)
            self.changes[chosen] += counts[fits].astype(np.int32)
            if len(near.indices) <= FEW_SUMMANDS:
                self.values[chosen] += few_by_target(near, differences, counts)[fits]
            else:
                self.add_in_steps(chosen, by_target(near, rows, fits), differences)
        return rows

    def add_in_steps(
        self,
        rows: NDArray[np.integer],
        summands: sparse.csc_array,
        differences: NDArray[np.float32],
    ) -> None:
        if len(rows) <= SUMS_A_STEP:
            self.values[rows] += summands @ differences
            return
        # Rows of the matrix are targets, so the random reads are of the differences, which are
        # fewer than the targets and usually in the cache.
        by_row = summands.tocsr()
        for start in range(0, len(rows), SUMS_A_STEP):
            part = slice(start, start + SUMS_A_STEP)
            sums = row_slice(by_row, part) @ differences
            sums += self.values.take(rows[part], axis=0)
            self.values[rows[part]] = sums

    def usable(
        self, rows: NDArray[np.integer], counts: NDArray[np.int64], degrees: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Whether to add to the rows' sums; bool [B]. Sums not worth updating are dropped."""
        kept = self.has(rows)
        worn = self.changes[rows] + counts > np.maximum(degrees, FEW_CHANGES)
        most = 2 * counts > degrees
        if int(counts[most & kept].sum()) > FRESH_SUMMANDS:
            worn |= most
        self.drop(rows[kept & worn])
        return np.asarray(kept & ~worn)


def few_by_target(
    near: Adjacency, differences: NDArray[np.float32], counts: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Sums the differences for each row in the lists, in the order of the rows; float32 [B, d].

    Args:
        counts: int64 [B], how often each row occurs.
    """
    lists = np.repeat(np.arange(near.num_nodes), near.degrees)
    order = near.indices.argsort(kind="stable")
    starts = np.cumsum(counts) - counts
    return np.asarray(np.add.reduceat(differences.take(lists[order], axis=0), starts, axis=0))


def by_target(
    near: Adjacency, rows: NDArray[np.integer], chosen: NDArray[np.bool_]
) -> sparse.csc_array:
    """Makes the matrix of which chosen rows occur in which lists; [chosen, lists].

    Args:
        rows: all rows in `near`, sorted.
    """
    count = int(chosen.sum())
    place = np.empty(int(rows[-1]) + 1, np.int32)
    place[rows] = np.where(chosen, np.cumsum(chosen) - 1, -1)
    targets, indptr = place[near.indices], near.indptr
    if count < len(rows):
        kept = targets >= 0
        indptr = np.concatenate([[0], np.cumsum(kept)])[indptr]
        targets = targets[kept]
    ones = np.ones(len(targets), np.float32)
    return sparse.csc_array((ones, targets, indptr), (count, near.num_nodes))


def row_slice(matrix: sparse.csr_array, part: slice) -> sparse.csr_array:
    """Slices rows without the checks of indexing."""
    indptr = matrix.indptr[part.start : part.stop + 1]
    first, last = indptr[0], indptr[-1]
    data, indices = matrix.data[first:last], matrix.indices[first:last]
    return sparse.csr_array((data, indices, indptr - first), (len(indptr) - 1, matrix.shape[1]))
