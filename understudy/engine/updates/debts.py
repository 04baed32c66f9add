"""Deferred small changes: what a node has not yet passed on to its neighbours."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.graph.mutable.versions import VersionedTable

# A node wakes its neighbours once what it owes them might move what one of them aggregates by this
# much, were all of that one's neighbours to owe it as much. What it owes is kept, so it never adds
# up to more; `settle` pays it.
WAKING = 1e-5
SETTLED_AT_ONCE = 8_192  # neighbours woken a step by `settle`, unless one node alone has more


class Debts:
    """By layer, what each node owes; only the writer touches it.

    Attributes:
        waking: what a node's neighbours together may owe it.
        owed: by layer float32 [rows], as of what is published.
        owing: what the change that runs makes of it: layer, rows and what these owe then.
        maybe: whether anything may be owed; looking at all nodes takes long where there are many.

    Args:
        owed: written to from here on; None is nothing.
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
        """Which nodes' neighbours must run again; the others owe them what they moved.

        Args:
            shares: what part of `waking` some nodes may owe, at most 1; float64 [B']

        Shapes:
            differences: float32 [B, d], by which the nodes moved
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
        """Nodes whose neighbours all run again."""
        self.owed[number].reserve(len(rows))
        self.owing.append((number, rows, np.zeros(len(rows), np.float32)))

    def pay(
        self, number: int, degrees: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """Some of the nodes that owe anything, and owe nothing now."""
        owed = self.owed[number]
        debtors = np.flatnonzero(np.concatenate([owed.base, owed.grown]))
        reached = np.cumsum(degrees(debtors))
        debtors = debtors[: 1 + int(np.searchsorted(reached, SETTLED_AT_ONCE))]
        self.owing.append((number, debtors, np.zeros(len(debtors), np.float32)))
        return debtors

    def looked_for(self) -> bool:
        """Whether anything is owed; no change runs."""
        self.maybe = self.maybe and self.there
        return self.maybe

    @property
    def there(self) -> bool:
        """Whether anything is owed, as readers ask it: nothing is noted."""
        return self.maybe and any(table.base.any() or table.grown.any() for table in self.owed)

    def now(self, rows: int) -> list[NDArray[np.float32]]:
        """A copy of what each of the first rows owes, by layer float32 [rows]."""
        for table in self.owed:
            table.reserve(rows)
        return [table.newest(np.arange(rows)) for table in self.owed]

    def keep(self) -> None:
        """The change is published."""
        for number, rows, owed in self.owing:
            self.owed[number].reserve(int(rows.max(initial=-1)) + 1)
            self.owed[number].overwrite(rows, owed)
            self.maybe = self.maybe or bool(owed.any())
        self.owing = []

    def forget(self) -> None:
        """The change was taken back."""
        self.owing = []


def largest(differences: NDArray[np.float32], enough: float) -> NDArray[np.float32]:
    """The largest absolute value of each row [B, d], or a smaller one that exceeds `enough`."""
    squares = np.einsum("ij,ij->i", differences, differences)
    bounds: NDArray[np.float32] = np.sqrt(squares / max(1, differences.shape[1]))
    small = np.flatnonzero(~(bounds > enough))
    bounds[small] = np.abs(differences[small]).max(axis=1, initial=0.0)
    return bounds
