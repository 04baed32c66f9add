"""Recomputes exactly the activations that a change affects, layer by layer.

A layer's result for a node depends on its own activation, its neighbours' activations and (through
the weights) its degree; with GCN's symmetric weights also on its neighbours' degrees. So a layer
runs again for the nodes whose own activation or whose neighbours changed, or that have a neighbour
whose activation changed; the nodes with a different result are the changed ones for the next layer.
The last layer runs if few nodes need it; if many do, they are only marked, see
`understudy.engine.stale`.
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
        self.linear = student.weighting in LINEAR
        rows = tables.logits.split
        widths = [table.width for table in tables.activations]
        self.sums = [KeptSums(width, rows if self.linear else 0) for width in widths]
        self.debts = Debts(len(widths), rows, owed)
        self.runs = LayerRuns(student, tables, self.sums)
        self.deferred = Deferred(student, rows)
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
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise InferenceError("the student's networks failed on a change") from error
        return computed

    def keep(self) -> None:
        """Keeps the results after the change was published."""
        self.debts.keep()
        for sums in self.sums:
            sums.published()
        self.deferred.keep()

    def forget(self) -> None:
        """Discards the results after the change was taken back."""
        self.debts.forget()
        for sums in self.sums:
            sums.take_back()
        self.deferred.forget()

    def owed_now(self, rows: int) -> list[NDArray[np.float32]]:
        """Copies what each of the first rows owes its neighbours, by layer float32 [rows]."""
        return self.debts.now(rows)

    @property
    def owes(self) -> bool:
        """Whether `update` with `settling` would compute anything."""
        return self.deferred.count > 0 or self.debts.there

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
        """Marks logits as stale, and drops the nodes' sums, which deferred nodes do not need."""
        fresh = self.deferred.mark(pieces, step.new.num_rows, step.undo)
        self.sums[self.last].drop(fresh)

    def run_last(self, rows: NDArray[np.int64], step: Step, keeping: bool = True) -> int:
        """Computes the logits of sorted rows (see `LayerRuns.run`); returns their number."""
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
        """Rows for which a layer without neighbours must run: changed rows and new texts."""
        return union([moved.rows, step.change.texts], step.new.num_rows)

    def wave(self, number: int, moved: Moved, step: Step) -> Wave:
        """Finds what reaches a layer, and records what nodes owe from now on."""
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
        """Computes the share of the total tolerance that each node may owe; float64 [B].

        As many nodes may owe a node as it has neighbours. If each owes the same amount, a mean or
        attention changes by that amount, a sum by that amount times the degree, and GCN's weighted
        sum by that amount times the root of the degree.
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
        """Finds the sorted rows that a layer must run for because of a wave; updates their sums."""
        near = step.new.adjacent(wave.sources.rows)
        around: NDArray[np.integer] = near.indices
        if self.linear:
            around = self.follow(number, wave.sources, near, wave.differences, step)
        if step.settling:
            around = step.new.adjacent(wave.waking).indices
        elif wave.quiet.any():
            around = near.indices[np.repeat(~wave.quiet, near.degrees)]
        rows = union([wave.moved.rows, step.touched, around], step.new.num_rows)
        gone = step.change.removed  # removed nodes can be ends of changed edges
        return rows[~np.isin(rows, gone)] if len(gone) else rows

    def reaches_most(self, moved: Moved, step: Step) -> bool:
        """Whether so many nodes changed that it is cheaper to run the layer for all."""
        return not step.settling and int(step.new.degrees(moved.rows).sum()) > step.new.num_edges

    def everything(self, number: int, moved: Moved, step: Step) -> NDArray[np.int64]:
        """Finds all rows that a layer can run for; resets kept sums and what is owed."""
        if self.linear:
            self.sums[number].drop_all()
        rows = np.arange(step.new.num_rows)
        degrees = step.new.degrees(rows)
        self.debts.forgive(number, rows)
        degrees[moved.rows] = degrees[step.touched] = 1  # include those without neighbours
        return np.flatnonzero(degrees)

    def sources(self, number: int, moved: Moved, step: Step) -> Moved:
        """Returns what neighbours sum: activations, with GCN scaled by the node's own degree."""
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
        """Adds the changes of summands to the kept sums.

        A new or removed edge adds or subtracts the far end's old value; the difference to its new
        value is then added for all current neighbours.

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
        """Returns the summands that nodes contributed before the change; float32 [B, d]."""
        values: NDArray[np.float32] = self.tables.layers[number].newest(rows)
        if self.student.weighting == "symmetric":  # changed nodes are replaced below
            values *= scales(step.old.degrees(rows), "symmetric")[:, None]
        if len(sources.rows):
            place = np.searchsorted(sources.rows, rows)
            place[place == len(sources.rows)] = 0
            there = sources.rows[place] == rows
            values[there] = sources.old[place[there]]
        return values


def differing(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Compares rows of two arrays [B, d]; bool [B]. The first column usually decides."""
    different: NDArray[np.bool_] = one[:, 0] != other[:, 0]
    same = np.flatnonzero(~different)
    different[same] = (one[same] != other[same]).any(axis=1)
    return different
