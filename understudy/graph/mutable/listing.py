"""Lists nodes in the order of their ids, page by page, while the graph changes.

Pages are addressed by ids instead of rows, so a list can be continued after any change, after a
restart, and in another process. A node that exists throughout occurs exactly once.
"""

from bisect import bisect_right

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.mutable.view import REMOVED, GraphView
from understudy.graph.text_graph import TextGraph


class Listing:
    """The sorted ids of a graph's base, into which later changes are merged.

    Shapes:
        order: int64 [N], the base's rows in the order of their ids
    """

    def __init__(self, base: TextGraph) -> None:
        self.base = base
        self.order: NDArray[np.int64] = pc.sort_indices(base.ids).to_numpy().astype(np.int64)

    def page(
        self, view: GraphView, after: str, limit: int, label: int | None, split: str | None
    ) -> list[int]:
        """The rows of the first nodes whose ids are greater than `after`, at most `limit`.

        Args:
            view: of the same base.
            after: any text; empty for the first page.
            label: index of the given label to filter by, or None.
            split: to filter by, or None; nodes that were added later are in no split.
        """
        records = view.parts.records.items(view.version)
        rows = self.order[bisect_right(self.order, after, key=self.id_of) :]
        kept = np.ones(len(rows), dtype=np.bool_)
        if label is not None:
            kept &= self.base.labels[rows] == label
        if split is not None:
            kept &= member_mask(self.base, split)[rows]
        if records:
            kept &= ~np.isin(rows, np.fromiter(records, dtype=np.int64))
        found = [(view.id(row), row) for row in rows[kept][:limit].tolist()]
        for row, record in records.items():
            if record is REMOVED or record.id <= after or label not in (None, record.label):
                continue
            if split in (None, split_of(self.base, row)):
                found.append((record.id, row))
        return [row for _, row in sorted(found)[:limit]]

    def id_of(self, row: int) -> str:
        return str(self.base.ids[int(row)].as_py())


def member_mask(base: TextGraph, split: str) -> NDArray[np.bool_]:
    """Which rows of the base are in a split; bool [N]."""
    mask = np.zeros(base.num_nodes, dtype=np.bool_)
    mask[base.splits[split]] = True
    return mask


def split_of(base: TextGraph, row: int) -> str | None:
    """The split of a base row, if any; see `Draft.take_row` for which node owns the row."""
    for name, members in base.splits.items():
        place = int(members.searchsorted(row))
        if place < len(members) and int(members[place]) == row:
            return name
    return None
