"""Sums over the neighbours of nodes with many of them, kept up by differences.

A linear layer's sum changes by the difference of what changed, so a hub of 20,000 neighbours costs
what its changed neighbours cost. Sums are held in 64 bits: after the 65,536 changes for which one
is kept, rounding adds up to less than 1e-11 of its largest partial sum, far below a float32.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from understudy.graph.versions import VersionedTable

HUB_DEGREE = 64  # below it, summing afresh costs less than keeping
CHANGES_KEPT = 65_536  # differences after which a sum is taken afresh


@dataclass(frozen=True, slots=True)
class Moved:
    """Nodes whose activation changed.

    Shapes:
        rows: int64 [X], sorted
        old, new: float32 or float64 [X, d], before and after
    """

    rows: NDArray[np.int64]
    old: NDArray[np.floating]
    new: NDArray[np.floating]


class HubSums:
    """The sums that one layer reads, of some nodes; only the writer touches it."""

    def __init__(self, width: int, rows: int) -> None:
        self.width = width
        self.slot_of = VersionedTable(np.full(rows, -1, np.int32))
        self.values = np.zeros((0, width))
        self.changes = np.zeros(0, np.int64)
        self.free: list[int] = []

    def slots(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """int32 [B]: where a node's sum is, or -1."""
        self.reserve(rows)
        found: NDArray[np.int32] = self.slot_of.newest(rows)
        return found

    def reserve(self, rows: NDArray[np.int64]) -> None:
        before = len(self.slot_of.grown)
        self.slot_of.reserve(int(rows.max(initial=-1)) + 1)
        self.slot_of.grown[before:] = -1

    def keep(self, row: int, total: NDArray[np.float64]) -> None:
        """Holds the sum [d] of a node that has none."""
        if not self.free:
            count = len(self.values)
            more = max(count, 16)
            self.values = np.concatenate([self.values, np.zeros((more, self.width))])
            self.changes = np.concatenate([self.changes, np.zeros(more, np.int64)])
            self.free = list(range(count, count + more))
        slot = self.free.pop()
        self.values[slot], self.changes[slot] = total, 0
        self.slot_of.overwrite(np.array([row]), np.array([slot], np.int32))

    def drop(self, rows: NDArray[np.int64]) -> None:
        slots = self.slots(rows)
        held = slots >= 0
        self.free += slots[held].tolist()
        self.slot_of.overwrite(rows[held], np.full(held.sum(), -1, np.int32))

    def clear(self) -> None:
        self.slot_of = VersionedTable(np.full(self.slot_of.split, -1, np.int32))
        self.free = list(range(len(self.values)))

    def add(
        self,
        targets: NDArray[np.int64],
        sources: NDArray[np.int64],
        differences: NDArray[np.floating],
    ) -> None:
        """Adds `differences[sources[k]]` to the sum of `targets[k]`, where that is kept.

        Shapes:
            targets, sources: int64 [E]; differences: [X, d]
        """
        slots = self.slots(targets)
        kept = slots >= 0
        if not kept.any():
            return
        touched, place, counts = np.unique(slots[kept], return_inverse=True, return_counts=True)
        picks = sparse.csr_array(
            (np.ones(len(place)), (place, sources[kept])), (len(touched), len(differences))
        )
        self.values[touched] += picks @ differences.astype(np.float64)
        self.changes[touched] += counts
        worn = self.changes[touched] >= CHANGES_KEPT
        if worn.any():
            worn_slots = np.isin(slots, touched[worn]) & kept
            self.drop(np.unique(targets[worn_slots]))

    @property
    def memory_bytes(self) -> int:
        return int(self.values.nbytes + self.slot_of.memory_bytes)
