"""Recomputes exactly the activations that a change affects, layer by layer.

A layer's result for a node depends on its own activation, its neighbours' activations and (through
the weights) its degree; with GCN's symmetric weights also on its neighbours' degrees. So a layer
runs again for the nodes whose own activation or whose neighbours changed, or that have a neighbour
whose activation changed; the nodes with a different result are the changed ones for the next layer.
The last layer runs if few nodes need it; if many do, they are only marked, see
`understudy.engine.stale`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.engine.errors import EngineError, InferenceError
from understudy.engine.stale import StaleLogits
from understudy.engine.state import Tables
from understudy.engine.student import Student
from understudy.engine.updates.cached_sums import Moved
from understudy.engine.updates.deferred import Deferred
from understudy.engine.updates.distinct import union
from understudy.engine.updates.layers import LayerRuns
from understudy.engine.updates.reach import Reach
from understudy.engine.updates.wave import Settling, Step, Wave
from understudy.graph.csr import Adjacency
from understudy.graph.mutable.store import GraphChange
from understudy.graph.mutable.versions import Undo
from understudy.graph.mutable.view import GraphView

TEXTS_A_RUN = 256  # texts encoded at once
# A change computes at most this many logits, about what a few edges reach with GraphSAGE, so that
# look-ups near small changes stay fast.
LOGITS_AT_ONCE = 256
HUB_NEIGHBORS = 1_024  # above this degree logits are never deferred: readers would sum too much


def go_on() -> None:
    """Does nothing; the default of `Incremental.between`."""


class Incremental:
    """Keeps the tables equal to a full computation on the newest graph, except stale logits.

    Args:
        owed: by layer float32 [rows], what each node owes its neighbours (see `Debts`); None:
            nothing. The arrays are written to.
        logits_at_once: maximum number of logits that a change computes; None: LOGITS_AT_ONCE.
    """

    def __init__(
        self,
        student: Student,
        tables: Tables,
        owed: Sequence[NDArray[np.float32]] | None = None,
        logits_at_once: int | None = None,
    ) -> None:
        self.student = student
        self.tables = tables
        self.logits_at_once = LOGITS_AT_ONCE if logits_at_once is None else logits_at_once
        self.hub_neighbors = HUB_NEIGHBORS
        self.reach = Reach(student, tables, owed)
        self.runs = LayerRuns(student, tables, self.reach.sums)
        self.deferred = Deferred(student, tables.logits.split)
        self.between: Callable[[], None] = go_on  # called between pieces; may raise to cancel
        self.last = len(student.layers) - 1

    def update(
        self,
        old: GraphView,
        new: GraphView,
        change: GraphChange,
        undo: Undo,
        settling: Settling = Settling.NOTHING,
    ) -> int:
        """Recomputes what a change affects, invisibly to readers of the old view.

        Args:
            settling: unless NOTHING, the graph is unchanged. LOGITS computes stale logits; ALL
                passes on what nodes owe their neighbours or, if nothing is owed, computes stale
                logits.

        Returns:
            The number of computed rows, over all layers.

        Raises:
            InferenceError: the networks failed, or gave a value that is not finite.
        """
        touched = np.setdiff1d(change.touched, change.removed, assume_unique=True)
        step = Step(old, new, change, undo, touched, settling is Settling.ALL)
        for sums in self.reach.sums:
            sums.drop(change.removed)
        self.deferred.clear(change.removed, new.num_rows, undo)
        try:
            if settling is Settling.LOGITS or (step.settling and not self.reach.debts.looked_for()):
                return self.run_last(self.deferred.piece(new), step, keeping=False)
            moved = self.embed(step)
            computed = len(change.texts)
            for number in range(self.last):
                self.between()
                rows = self.reach.affected(number, moved, step)
                computed += len(rows)
                values = self.runs.run(number, rows, new)
                moved = self.write(number + 1, rows, values, step)
            computed += self.answer(moved, step)
        except EngineError:
            raise
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise InferenceError("the student's networks failed on a change") from error
        return computed

    def keep(self) -> None:
        """Keeps the results after the change was published."""
        self.reach.debts.keep()
        for sums in self.reach.sums:
            sums.published()
        self.deferred.keep()

    def forget(self) -> None:
        """Discards the results after the change was taken back."""
        self.reach.debts.forget()
        for sums in self.reach.sums:
            sums.take_back()
        self.deferred.forget()

    def owed_now(self, rows: int) -> list[NDArray[np.float32]]:
        """Copies what each of the first rows owes its neighbours, by layer float32 [rows]."""
        return self.reach.debts.now(rows)

    @property
    def owes(self) -> bool:
        """Whether `update` with `settling` would compute anything."""
        return self.deferred.count > 0 or self.reach.debts.outstanding

    @property
    def waiting(self) -> int:
        """Number of stale logits."""
        return self.deferred.count

    @property
    def stale(self) -> StaleLogits | None:
        """What readers need to compute stale logits; None if none are stale."""
        return self.deferred.now

    def embed(self, step: Step) -> Moved:
        """Computes h0 of the nodes with a new text."""
        rows = step.change.texts
        pieces = []
        for start in range(0, len(rows), TEXTS_A_RUN):
            self.between()
            texts = [step.new.text(row) for row in rows[start : start + TEXTS_A_RUN].tolist()]
            pieces.append(self.student.text_input(texts))
        width = self.tables.layers[0].width
        values = np.concatenate(pieces) if pieces else np.empty((0, width), np.float32)
        return self.write(0, rows, values, step)

    def write(
        self, number: int, rows: NDArray[np.int64], values: NDArray[np.float32], step: Step
    ) -> Moved:
        """Writes activations of layer `number`; returns the rows that changed."""
        if not np.isfinite(values).all():
            raise InferenceError("the student gave a value that is not finite for a change")
        table = self.tables.layers[number]
        table.reserve(step.new.num_rows)
        old = table.newest(rows)
        moved = Moved(rows, old, values)
        if number < len(self.student.layers):  # no layer reads the logits
            different = differing(values, old)
            if not different.all():
                moved = Moved(rows[different], old[different], values[different])
        table.put(step.undo, moved.rows, moved.new, moved.old)
        return moved

    def answer(self, moved: Moved, step: Step) -> int:
        """Runs the last layer if few nodes need it, otherwise marks them; returns how many ran."""
        self.tables.logits.reserve(step.new.num_rows)
        if self.student.weighting == "none" or self.reach.reaches_most(moved, step):
            rows = self.reach.affected(self.last, moved, step)
            if len(rows) <= self.logits_at_once:
                return self.run_last(rows, step)
            self.mark([rows], step)
            return 0
        wave = self.reach.wave(self.last, moved, step)
        reached = len(moved.rows) + len(step.touched) + int(step.new.degrees(wave.waking).sum())
        if reached <= self.logits_at_once:
            return self.run_last(self.reach.reached(self.last, wave, step), step)
        return self.leave(wave, step)

    def leave(self, wave: Wave, step: Step) -> int:
        """Marks the nodes that a wave reaches, except hubs, for which it runs the last layer.

        Returns the number of hubs that it ran for.
        """
        own = [wave.moved.rows, step.touched]
        if step.settling:  # hubs are computed with the other marked nodes
            self.mark([*own, step.new.adjacent(wave.waking).indices], step)
            return 0
        near = step.new.adjacent(wave.sources.rows)
        large = self.are_hubs(near.indices, step)
        quiet = np.repeat(wave.quiet, near.degrees)
        large_own = [self.are_hubs(rows, step) for rows in own]
        pieces = [rows[~hubs] for rows, hubs in zip(own, large_own, strict=True)]
        self.mark([*pieces, near.indices[~(large | quiet)]], step)
        self.reach.sums[self.last].drop(near.indices[quiet & ~large])
        pieces = [rows[hubs] for rows, hubs in zip(own, large_own, strict=True)]
        if self.reach.linear and (large.any() or any(map(len, pieces))):
            indptr = np.concatenate([[0], np.cumsum(large)])[near.indptr]
            around = Adjacency(indptr, near.indices[large])
            self.reach.follow(self.last, wave.sources, around, wave.differences, step)
        hubs = union([*pieces, near.indices[large & ~quiet]], step.new.num_rows)
        return self.run_last(hubs, step) if len(hubs) else 0

    def are_hubs(self, rows: NDArray[np.integer], step: Step) -> NDArray[np.bool_]:
        return np.asarray(step.new.degrees(rows) > self.hub_neighbors)

    def mark(self, pieces: Sequence[NDArray[np.integer]], step: Step) -> None:
        """Marks logits as stale, and drops the nodes' sums, which deferred nodes do not need."""
        fresh = self.deferred.mark(pieces, step.new.num_rows, step.undo)
        self.reach.sums[self.last].drop(fresh)

    def run_last(self, rows: NDArray[np.int64], step: Step, keeping: bool = True) -> int:
        """Computes the logits of sorted rows (see `LayerRuns.run`); returns their number."""
        values = self.runs.run(self.last, rows, step.new, keeping)
        self.write(self.last + 1, rows, values, step)
        self.deferred.clear(rows, step.new.num_rows, step.undo)
        return len(rows)


def differing(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Compares rows of two arrays [B, d]; bool [B]. The first column usually decides."""
    different: NDArray[np.bool_] = one[:, 0] != other[:, 0]
    same = np.flatnonzero(~different)
    different[same] = (one[same] != other[same]).any(axis=1)
    return different
