"""The edges of a draft, on top of those of its view."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from understudy.graph.mutable.view import ROW_BITS, GraphView

LOW_ROW = 2**ROW_BITS - 1


class DraftEdges:
    """Pairs of rows that a draft links or unlinks.

    Attributes:
        pairs: pair of rows, see `pair_key` → whether they are linked; may equal the view
        others: row → rows that it may form such a pair with; None until first used
    """

    def __init__(self, view: GraphView, new_rows: Mapping[int, bool]) -> None:
        """Starts with the view's edges.

        Args:
            new_rows: rows that the view does not use; the draft adds to them.
        """
        self.view = view
        self.new_rows = new_rows
        self.pairs: dict[int, bool] = {}
        self.others: dict[int, set[int]] | None = None

    def linked(self, first: int, second: int) -> bool:
        known = self.pairs.get(pair_key(first, second))
        return self.linked_in_view(first, second) if known is None else known

    def linked_in_view(self, first: int, second: int) -> bool:
        """Whether the view links two rows; its lists do not have the new rows yet."""
        new = first in self.new_rows or second in self.new_rows
        return not new and self.view.linked(first, second)

    def linked_before(
        self, pairs: NDArray[np.int64], keys: NDArray[np.int64], adds: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Whether the pair of each item of a batch is linked just before the item is applied.

        Shapes:
            pairs: int64 [E, 2], rows of the view, the smaller one first
            keys: int64 [E], see `pair_key`
            adds: bool [E], items that link their pair; the others unlink it
            returns: bool [E]
        """
        linked = self.view.all_linked(pairs)
        if self.pairs:
            known = map(self.pairs.get, keys.tolist(), linked.tolist())
            linked = np.fromiter(known, np.bool_, len(keys))
        order = np.argsort(keys, kind="stable")
        again = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
        linked[order[again + 1]] = adds[order[again]]
        return linked

    def states(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The pairs of rows in the draft, int64 [E, 2], and which of them are linked, bool [E]."""
        count = len(self.pairs)
        keys = np.fromiter(self.pairs, np.int64, count)
        linked = np.fromiter(self.pairs.values(), np.bool_, count)
        return np.stack([keys >> ROW_BITS, keys & LOW_ROW], axis=1), linked

    def neighbors(self, row: int) -> Iterator[int]:
        changed = {
            other: linked
            for other in self.around(row)
            if (linked := self.pairs.get(pair_key(row, other))) is not None
        }
        if row not in self.new_rows:
            yield from (n for n in self.view.neighbors(row).tolist() if n not in changed)
        yield from (other for other, linked in changed.items() if linked)

    def around(self, row: int) -> Iterable[int]:
        """The rows that may form a pair with a row in the draft; only removals need them."""
        if self.others is None:
            self.others = {}
            self.index(self.pairs)
        return self.others.get(row, ())

    def index(self, keys: Iterable[int]) -> None:
        """Adds pairs to `others`, if it was used."""
        if self.others is None:
            return
        for key in keys:
            first, second = rows_of(key)
            self.others.setdefault(first, set()).add(second)
            self.others.setdefault(second, set()).add(first)


def pair_key(first: int, second: int) -> int:
    """Encodes an unordered pair of rows as one number."""
    return (first << ROW_BITS) | second if first < second else (second << ROW_BITS) | first


def rows_of(key: int) -> tuple[int, int]:
    """The pair of rows that `pair_key` encoded, the smaller one first."""
    return key >> ROW_BITS, key & LOW_ROW
