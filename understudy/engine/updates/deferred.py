"""The writer's side of logits that are computed when asked for, or in the next pause."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.engine.gathered import steps
from understudy.engine.stale import StaleLogits
from understudy.engine.student import Student
from understudy.engine.updates.distinct import union
from understudy.graph.mutable.versions import Undo, VersionedTable
from understudy.graph.mutable.view import GraphView

# Computed in one piece when changes pause; the next change waits for no more than one.
SETTLED_ROWS = 4_096
SETTLED_NEIGHBORS = 65_536


class Deferred:
    """Marks whose logits are stale; only the writer touches it.

    Attributes:
        logits: the marks, and what readers need beside them.
        count: how many are stale in the newest version that is published.
        counting: the same with the change that runs.
    """

    def __init__(self, student: Student, rows: int) -> None:
        marks = VersionedTable(np.zeros(rows, np.bool_))
        self.logits = StaleLogits(marks, student.layers[-1], student.weighting)
        self.count = self.counting = 0
        self.found = np.empty(0, np.int64)  # rows that were stale when all were looked through

    @property
    def now(self) -> StaleLogits | None:
        """What readers of the newest version need; None where nothing is stale."""
        return self.logits if self.count else None

    def mark(
        self, pieces: Sequence[NDArray[np.integer]], total: int, undo: Undo
    ) -> NDArray[np.int64]:
        """Leaves the logits of some rows below `total`; returns those that were not left yet."""
        marks = self.logits.marks
        marks.reserve(total)
        # Where changes follow each other most are marked: to sort those out would be for nothing.
        fresh = union([rows[~marks.newest(rows)] for rows in pieces], total)
        none = np.zeros(len(fresh), np.bool_)
        marks.put(undo, fresh, ~none, none)
        self.counting += len(fresh)
        return fresh

    def clear(self, rows: NDArray[np.int64], total: int, undo: Undo) -> None:
        """Sorted rows below `total` that were computed, or are gone."""
        if self.counting == 0:
            return
        marks = self.logits.marks
        marks.reserve(total)
        stale = rows[marks.newest(rows)]
        none = np.zeros(len(stale), np.bool_)
        marks.put(undo, stale, none, ~none)
        self.counting -= len(stale)

    def piece(self, view: GraphView) -> NDArray[np.int64]:
        """Some of the rows that are stale, sorted; none only where nothing is.

        Rows that it gave come again after all others, so that none that fails is in their way.
        """
        marks = self.logits.marks
        rows = np.empty(0, np.int64)
        while self.counting and len(rows) == 0:
            if len(self.found) == 0:
                self.found = np.flatnonzero(np.concatenate([marks.base, marks.grown]))
            some = self.found[:SETTLED_ROWS]
            part = next(steps(view.degrees(some), SETTLED_NEIGHBORS))
            self.found = self.found[part.stop :]
            rows = some[part][marks.newest(some[part])]
        return rows

    def keep(self) -> None:
        """The change is published."""
        self.count = self.counting

    def forget(self) -> None:
        """The change was taken back, and its marks with it."""
        self.counting = self.count
