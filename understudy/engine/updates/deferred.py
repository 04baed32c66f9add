"""The writer's side of logits that are computed on demand or when idle."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.engine.gathered import steps
from understudy.engine.stale import StaleLogits
from understudy.engine.student import Student
from understudy.engine.updates.distinct import union
from understudy.graph.mutable.versions import Undo, VersionedTable
from understudy.graph.mutable.view import GraphView

# Stale logits are computed in pieces of this size when idle; a change waits for one piece at most.
SETTLED_ROWS = 4_096
SETTLED_NEIGHBORS = 65_536


class Deferred:
    """Marks stale logits; used by the writer only.

    Attributes:
        logits: the marks, with what readers need to compute logits.
        count: number of stale logits in the newest published version.
        counting: the same, including the running change.
    """

    def __init__(self, student: Student, rows: int) -> None:
        marks = VersionedTable(np.zeros(rows, np.bool_))
        self.logits = StaleLogits(marks, student.layers[-1], student.weighting)
        self.count = self.counting = 0
        self.unsettled = np.empty(0, np.int64)  # stale rows of the last scan that are still to do

    @property
    def now(self) -> StaleLogits | None:
        """What readers of the newest version need; None if nothing is stale."""
        return self.logits if self.count else None

    def mark(
        self, pieces: Sequence[NDArray[np.integer]], total: int, undo: Undo
    ) -> NDArray[np.int64]:
        """Marks the logits of some rows below `total`; returns those that were not marked yet."""
        marks = self.logits.marks
        marks.reserve(total)
        # Under frequent changes most are marked already; they are skipped first.
        fresh = union([rows[~marks.newest(rows)] for rows in pieces], total)
        none = np.zeros(len(fresh), np.bool_)
        marks.put(undo, fresh, ~none, none)
        self.counting += len(fresh)
        return fresh

    def clear(self, rows: NDArray[np.int64], total: int, undo: Undo) -> None:
        """Unmarks sorted rows below `total` that were computed or removed."""
        if self.counting == 0:
            return
        marks = self.logits.marks
        marks.reserve(total)
        stale = rows[marks.newest(rows)]
        none = np.zeros(len(stale), np.bool_)
        marks.put(undo, stale, none, ~none)
        self.counting -= len(stale)

    def piece(self, view: GraphView) -> NDArray[np.int64]:
        """Selects some of the stale rows, sorted; empty only if nothing is stale.

        Every stale row is selected once before any is selected again, so that a failing row does
        not block the others.
        """
        marks = self.logits.marks
        rows = np.empty(0, np.int64)
        while self.counting and len(rows) == 0:
            if len(self.unsettled) == 0:
                self.unsettled = np.flatnonzero(np.concatenate([marks.base, marks.grown]))
            some = self.unsettled[:SETTLED_ROWS]
            part = next(steps(view.degrees(some), SETTLED_NEIGHBORS))
            self.unsettled = self.unsettled[part.stop :]
            rows = some[part][marks.newest(some[part])]
        return rows

    def keep(self) -> None:
        """Keeps the marks after the change was published."""
        self.count = self.counting

    def forget(self) -> None:
        """Resets the count after the change and its marks were taken back."""
        self.counting = self.count
