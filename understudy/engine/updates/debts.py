"""Deferred small changes: what a node has not yet passed on to its neighbours."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.graph.mutable.versions import VersionedTable

# A node's neighbours are recomputed once the changes that it owes them could move one neighbour's
# aggregate by this much, if all neighbours of that one owed the same. What is owed accumulates, so
# the total error stays below this bound; `settle` passes everything on.
WAKING = 1e-5
SETTLED_AT_ONCE = 8_192  # neighbours recomputed per step of `settle`, unless one node has more


class Debts:
    """What each node owes its neighbours, by layer; used by the writer only.

    Attributes:
        waking: how much a node's neighbours together may owe it.
        owed: by layer float32 [rows], as published.
        owing: updates of `owed` by the running change: layer, rows and their new values.
        maybe: whether anything may be owed; avoids the slow scan of all nodes.

    Args:
        owed: initial values, which are written to; None: nothing is owed.
    """

    def __init__(
        self,
        layers: int,
        rows: int,
        owed: Sequence[NDArray[np.float32]] | None = None,
    ) -> None:
        self.waking = WAKING
        nothing = [np.zeros(rows, np.float32) for _ in range(layers)]
        self.owed = [VersionedTable(values) for values in (nothing if owed is None else owed)]
        self.owing: list[tuple[int, NDArray[np.int64], NDArray[np.float32]]] = []
        self.maybe = owed is not None

    def wake(
        self,
        number: int,
        rows: NDArray[np.int64],
        differences: NDArray[np.float32],
        shares: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    ) -> NDArray[np.bool_]:
        """Finds the nodes whose neighbours must run again; the others owe them their change.

        Args:
            shares: gives the part of `waking` that nodes may owe, at most 1; float64 [B']

        Shapes:
            differences: float32 [B, d], the changes of the nodes
            returns: bool [B]
        """
        owed = self.owed[number]
        owed.reserve(int(rows.max(initial=-1)) + 1)
        total = owed.newest(rows) + largest(differences, self.waking)
        wakes = total > self.waking
        small = np.flatnonzero(~wakes & (total > 0))
        if len(small):
            wakes[small] = total[small] > self.waking * shares(rows[small])
        self.owing.append((number, rows, np.where(wakes, 0, total).astype(np.float32)))
        return np.asarray(wakes)

    def forgive(self, number: int, rows: NDArray[np.int64]) -> None:
        """Clears what nodes owe, because all their neighbours run again."""
        self.owed[number].reserve(len(rows))
        self.owing.append((number, rows, np.zeros(len(rows), np.float32)))

    def pay(
        self, number: int, degrees: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """Selects some of the nodes that owe anything, and clears what they owe."""
        owed = self.owed[number]
        debtors = np.flatnonzero(np.concatenate([owed.base, owed.grown]))
        reached = np.cumsum(degrees(debtors))
        debtors = debtors[: 1 + int(np.searchsorted(reached, SETTLED_AT_ONCE))]
        self.owing.append((number, debtors, np.zeros(len(debtors), np.float32)))
        return debtors

    def looked_for(self) -> bool:
        """Checks whether anything is owed and remembers the answer; not during a change."""
        self.maybe = self.maybe and self.outstanding
        return self.maybe

    @property
    def outstanding(self) -> bool:
        """Whether anything is owed; for readers, changes nothing."""
        return self.maybe and any(table.base.any() or table.grown.any() for table in self.owed)

    def now(self, rows: int) -> list[NDArray[np.float32]]:
        """Copies what each of the first rows owes, by layer float32 [rows]."""
        for table in self.owed:
            table.reserve(rows)
        return [table.newest(np.arange(rows)) for table in self.owed]

    def keep(self) -> None:
        """Keeps the updates after the change was published."""
        for number, rows, owed in self.owing:
            self.owed[number].reserve(int(rows.max(initial=-1)) + 1)
            self.owed[number].overwrite(rows, owed)
            self.maybe = self.maybe or bool(owed.any())
        self.owing = []

    def forget(self) -> None:
        """Discards the updates after the change was taken back."""
        self.owing = []


def largest(differences: NDArray[np.float32], enough: float) -> NDArray[np.float32]:
    """The largest absolute value of each row [B, d], float32 [B]; of a row whose root mean square
    exceeds `enough`, that instead, which is cheaper and no larger.
    """
    squares = np.einsum("ij,ij->i", differences, differences)
    bounds: NDArray[np.float32] = np.sqrt(squares / max(1, differences.shape[1]))
    small = np.flatnonzero(~(bounds > enough))
    bounds[small] = np.abs(differences[small]).max(axis=1, initial=0.0)
    return bounds
