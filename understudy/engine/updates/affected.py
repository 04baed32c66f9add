"""What a change of the graph does to the activations: exactly the affected nodes, layer by layer.

A layer's result for a node depends on its own activation, on its neighbours' and, by the weights,
on its degree; with GCN's symmetric weights also on its neighbours' degrees. So a layer is run again
for the nodes whose own activation moved, whose neighbours changed, or that have a neighbour which
moved; the nodes that came out different are what moved for the next one. The last layer is run
where few nodes need it; many are only marked, see `understudy.engine.stale`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from understudy.engine.errors import EngineError, InferenceError
from understudy.engine.stale import StaleLogits
from understudy.engine.state import Tables
from understudy.engine.student import Student
from understudy.engine.updates.aggregated import LINEAR, scales
from understudy.engine.updates.cached_sums import KeptSums, Moved
from understudy.engine.updates.debts import Debts
from understudy.engine.updates.deferred import Deferred
from understudy.engine.updates.distinct import union
from understudy.engine.updates.layers import LayerRuns
from understudy.engine.updates.wave import Settling, Step, Wave
from understudy.graph.csr import Adjacency
from understudy.graph.mutable.store import GraphChange
from understudy.graph.mutable.versions import Undo
from understudy.graph.mutable.view import GraphView

TEXTS_A_RUN = 256  # encoded at once
# Nodes whose logits a change computes; with GraphSAGE, a few edges reach so many. Then answers
# near small changes stay look-ups.
LOGITS_AT_ONCE = 256
HUB_NEIGHBORS = 1_024  # of more, a node's logits are never left: each reader would sum up all


def go_on() -> None:
    """Breaks nothing off."""


class Incremental:
    """Keeps the tables equal to what a full computation on the newest graph would give.

    Of the logits those alone that are not marked as stale.

    Args:
        owed: by layer float32 [rows], what each node owes its neighbours; None is nothing.
            Written to from here on.
        logits_at_once: up to how many a change computes; None is LOGITS_AT_ONCE.
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
        self.linear = student.weighting in LINEAR
        rows = tables.logits.split
        widths = [table.width for table in tables.activations]
        self.sums = [KeptSums(width, rows if self.linear else 0) for width in widths]
        self.debts = Debts(len(widths), rows, owed)
        self.runs = LayerRuns(student, tables, self.sums)
        self.deferred = Deferred(student, rows)
        self.between: Callable[[], None] = go_on  # pieces of a long change; may break it off
        self.last = len(student.layers) - 1

    def update(
        self,
        old: GraphView,
        new: GraphView,
        change: GraphChange,
        undo: Undo,
        settling: Settling = Settling.NOTHING,
    ) -> int:
        """Recomputes what a change affects, unseen by readers of the old view.

        Args:
            settling: nothing is different in the graph. ALL wakes the neighbours of nodes that owe
                them anything, or else computes logits that are stale; LOGITS does that alone.

        Returns:
            How many rows were computed, of all layers together.

        Raises:
            InferenceError: the networks failed, or gave a value that is not finite.
        """
        touched = np.setdiff1d(change.touched, change.removed, assume_unique=True)
        step = Step(old, new, change, undo, touched, settling is Settling.ALL)
        for sums in self.sums:
            sums.drop(change.removed)
        self.deferred.clear(change.removed, new.num_rows, undo)
        try:
            if settling is Settling.LOGITS or (step.settling and not self.debts.looked_for()):
                return self.run_last(self.deferred.piece(new), step, keeping=False)
            moved = self.embed(step)
            computed = len(change.texts)
            for number in range(self.last):
                self.between()
                rows = self.affected(number, moved, step)
                computed += len(rows)
                values = self.runs.run(number, rows, new)
                moved = self.write(number + 1, rows, values, step)
            computed += self.answer(moved, step)
        except EngineError:
            raise
        except Exception as error:  # onnxruntime's own errors share no narrower root
            raise InferenceError("the student's networks failed on a change") from error
        return computed

    def keep(self) -> None:
        """The change is published."""
        self.debts.keep()
        for sums in self.sums:
            sums.published()
        self.deferred.keep()

    def forget(self) -> None:
        """The change was taken back."""
        self.debts.forget()
        for sums in self.sums:
            sums.take_back()
        self.deferred.forget()

    def owed_now(self, rows: int) -> list[NDArray[np.float32]]:
        """A copy of what each of the first rows owes its neighbours, by layer float32 [rows]."""
        return self.debts.now(rows)

    @property
    def owes(self) -> bool:
        """Whether `update` with `settling` would change anything."""
        return self.deferred.count > 0 or self.debts.there

    @property
    def waiting(self) -> int:
        """How many logits are stale."""
        return self.deferred.count

    @property
    def stale(self) -> StaleLogits | None:
        """What readers need where logits are stale; None where none are."""
        return self.deferred.now

    def embed(self, step: Step) -> Moved:
        """h0 of the nodes whose text is new."""
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
        """Overwrites activations of layer `number`; returns what is different."""
        if not np.isfinite(values).all():
            raise InferenceError("the student gave a value that is not finite for a change")
        table = self.tables.layers[number]
        table.reserve(step.new.num_rows)
        old = table.newest(rows)
        moved = Moved(rows, old, values)
        if number < len(self.student.layers):  # nothing follows the logits
            different = differing(values, old)
            if not different.all():
                moved = Moved(rows[different], old[different], values[different])
        table.put(step.undo, moved.rows, moved.new, moved.old)
        return moved

    def answer(self, moved: Moved, step: Step) -> int:
        """Runs the last layer where few nodes need it, else marks them; how many it ran for."""
        self.tables.logits.reserve(step.new.num_rows)
        if self.student.weighting == "none" or self.reaches_most(moved, step):
            rows = self.affected(self.last, moved, step)
            if len(rows) <= self.logits_at_once:
                return self.run_last(rows, step)
            self.mark([rows], step)
            return 0
        wave = self.wave(self.last, moved, step)
        reached = len(moved.rows) + len(step.touched) + int(step.new.degrees(wave.waking).sum())
        if reached <= self.logits_at_once:
            return self.run_last(self.reached(self.last, wave, step), step)
        return self.leave(wave, step)

    def leave(self, wave: Wave, step: Step) -> int:
        """Marks the nodes that a wave reaches, and runs the last layer for hubs; for how many."""
        own = [wave.moved.rows, step.touched]
        if step.settling:  # hubs come with all that is marked
            self.mark([*own, step.new.adjacent(wave.waking).indices], step)
            return 0
        near = step.new.adjacent(wave.sources.rows)
        large = self.are_hubs(near.indices, step)
        quiet = np.repeat(wave.quiet, near.degrees)
        large_own = [self.are_hubs(rows, step) for rows in own]
        pieces = [rows[~hubs] for rows, hubs in zip(own, large_own, strict=True)]
        self.mark([*pieces, near.indices[~(large | quiet)]], step)
        self.sums[self.last].drop(near.indices[quiet & ~large])
        pieces = [rows[hubs] for rows, hubs in zip(own, large_own, strict=True)]
        if self.linear and (large.any() or any(map(len, pieces))):
            indptr = np.concatenate([[0], np.cumsum(large)])[near.indptr]
            around = Adjacency(indptr, near.indices[large])
            self.follow(self.last, wave.sources, around, wave.differences, step)
        hubs = union([*pieces, near.indices[large & ~quiet]], step.new.num_rows)
        return self.run_last(hubs, step) if len(hubs) else 0

    def are_hubs(self, rows: NDArray[np.integer], step: Step) -> NDArray[np.bool_]:
        return np.asarray(step.new.degrees(rows) > self.hub_neighbors)

    def mark(self, pieces: Sequence[NDArray[np.integer]], step: Step) -> None:
        """Leaves the logits of some nodes. No sum is kept of them: it would be for nothing."""
        fresh = self.deferred.mark(pieces, step.new.num_rows, step.undo)
        self.sums[self.last].drop(fresh)

    def run_last(self, rows: NDArray[np.int64], step: Step, keeping: bool = True) -> int:
        """Computes the logits of sorted rows, see `LayerRuns.run`; how many."""
        values = self.runs.run(self.last, rows, step.new, keeping)
        self.write(self.last + 1, rows, values, step)
        self.deferred.clear(rows, step.new.num_rows, step.undo)
        return len(rows)

    def affected(self, number: int, moved: Moved, step: Step) -> NDArray[np.int64]:
        """Sorted rows for which layer `number`, counted from 0, must run; sums are updated."""
        if self.student.weighting == "none":
            return self.own(moved, step)
        if self.reaches_most(moved, step):
            return self.everything(number, moved, step)
        return self.reached(number, self.wave(number, moved, step), step)

    def own(self, moved: Moved, step: Step) -> NDArray[np.int64]:
        """Rows for which a layer without neighbours must run; a new row holds nothing yet."""
        return union([moved.rows, step.change.texts], step.new.num_rows)

    def wave(self, number: int, moved: Moved, step: Step) -> Wave:
        """What reaches a layer; what is owed from here on is noted."""
        sources = self.sources(number, moved, step)
        differences = sources.new - sources.old
        if step.settling:
            wakes = np.ones(len(sources.rows), np.bool_)
            debtors = self.debts.pay(number, step.new.degrees)
            waking = union([sources.rows, debtors], step.new.num_rows)
        else:
            shares = partial(self.shares, step.new)
            wakes = self.debts.wake(number, sources.rows, differences, shares)
            waking = sources.rows[wakes]
        return Wave(moved, sources, differences, ~wakes, waking)

    def shares(self, view: GraphView, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """How much of what is allowed in all some nodes may owe; float64 [B].

        As many may owe a node as it has neighbours. A mean, or attention, then moves by as much as
        one of them did; a sum by that times their number, GCN's by the root of it.
        """
        most = np.ones(len(rows))
        if self.student.weighting not in ("sum", "symmetric"):
            return most
        near = view.adjacent(rows)
        some = near.degrees > 0
        if some.any():
            most[some] = np.maximum.reduceat(view.degrees(near.indices), near.indptr[:-1][some])
        return 1 / most if self.student.weighting == "sum" else 1 / np.sqrt(most + 1)

    def reached(self, number: int, wave: Wave, step: Step) -> NDArray[np.int64]:
        """Sorted rows that a wave makes a layer run for; their sums are updated."""
        near = step.new.adjacent(wave.sources.rows)
        around: NDArray[np.integer] = near.indices
        if self.linear:
            around = self.follow(number, wave.sources, near, wave.differences, step)
        if step.settling:
            around = step.new.adjacent(wave.waking).indices
        elif wave.quiet.any():
            around = near.indices[np.repeat(~wave.quiet, near.degrees)]
        rows = union([wave.moved.rows, step.touched, around], step.new.num_rows)
        gone = step.change.removed  # among the ends of changed edges
        return rows[~np.isin(rows, gone)] if len(gone) else rows

    def reaches_most(self, moved: Moved, step: Step) -> bool:
        """Whether so many nodes moved that to tell their neighbours apart would cost more."""
        return not step.settling and int(step.new.degrees(moved.rows).sum()) > step.new.num_edges

    def everything(self, number: int, moved: Moved, step: Step) -> NDArray[np.int64]:
        """All rows that a layer could be run for; what is kept and what is owed begins anew."""
        if self.linear:
            self.sums[number].drop_all()
        rows = np.arange(step.new.num_rows)
        degrees = step.new.degrees(rows)
        self.debts.forgive(number, rows)
        degrees[moved.rows] = degrees[step.touched] = 1  # some have no neighbours
        return np.flatnonzero(degrees)

    def sources(self, number: int, moved: Moved, step: Step) -> Moved:
        """What the neighbours sum up: activations, with GCN scaled by the node's own degree."""
        if self.student.weighting != "symmetric":
            return moved
        rows = union([moved.rows, step.touched], step.new.num_rows)
        new: NDArray[np.float32] = self.tables.layers[number].newest(rows)
        old = new.copy()
        old[np.searchsorted(rows, moved.rows)] = moved.old
        old *= scales(step.old.degrees(rows), "symmetric")[:, None]
        new *= scales(step.new.degrees(rows), "symmetric")[:, None]
        return Moved(rows, old, new)

    def follow(
        self,
        number: int,
        sources: Moved,
        near: Adjacency,
        differences: NDArray[np.float32],
        step: Step,
    ) -> NDArray[np.integer]:
        """Adds to the kept sums what changed in them.

        An edge that is new, or gone, brings or takes what its far end was before: the difference
        to what that is now is added to whom it is linked with now.

        Returns:
            The sorted rows around the sources, and the ends of changed edges.
        """
        change = step.change
        edges = np.concatenate([change.added_edges, change.removed_edges])
        if len(edges) == 0:
            return self.add(number, near, differences, step.new)
        ends, others = np.concatenate([edges, edges[:, ::-1]]).T
        signs = np.ones(len(edges), np.float32)
        signs[len(change.added_edges) :] = -1
        values = np.tile(signs, 2)[:, None] * self.before(number, sources, others, step)
        indptr = np.concatenate([near.indptr, near.indptr[-1] + 1 + np.arange(len(ends))])
        indices = np.concatenate([near.indices, ends.astype(np.int32)])
        both = np.concatenate([differences, values])
        return self.add(number, Adjacency(indptr, indices), both, step.new)

    def add(
        self, number: int, near: Adjacency, differences: NDArray[np.float32], view: GraphView
    ) -> NDArray[np.integer]:
        return self.sums[number].add(near, differences, view.num_rows, view.degrees)

    def before(
        self, number: int, sources: Moved, rows: NDArray[np.int64], step: Step
    ) -> NDArray[np.float32]:
        """What their neighbours summed up of some nodes before the change; float32 [B, d]."""
        values: NDArray[np.float32] = self.tables.layers[number].newest(rows)
        if self.student.weighting == "symmetric":  # of a node that moved, it is replaced below
            values *= scales(step.old.degrees(rows), "symmetric")[:, None]
        if len(sources.rows):
            place = np.searchsorted(sources.rows, rows)
            place[place == len(sources.rows)] = 0
            there = sources.rows[place] == rows
            values[there] = sources.old[place[there]]
        return values


def differing(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """bool [B]: which rows of two arrays [B, d] differ; most often the first column tells."""
    different: NDArray[np.bool_] = one[:, 0] != other[:, 0]
    same = np.flatnonzero(~different)
    different[same] = (one[same] != other[same]).any(axis=1)
    return different
