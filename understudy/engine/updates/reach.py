"""Which nodes a layer must run for because of a change, and the sums that change with it."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from understudy.engine.state import Tables
from understudy.engine.student import Student
from understudy.engine.updates.aggregated import LINEAR, scales
from understudy.engine.updates.cached_sums import KeptSums, Moved
from understudy.engine.updates.debts import Debts
from understudy.engine.updates.distinct import union
from understudy.engine.updates.wave import Step, Wave
from understudy.graph.csr import Adjacency
from understudy.graph.mutable.view import GraphView


class Reach:
    """Finds the rows that a layer must run for, and keeps sums and debts up to date with them.

    Layers are counted from 0.

    Attributes:
        linear: whether a neighbourhood is a weighted sum, which can be kept and added to
        sums: by layer, the kept sums of nodes' neighbours
        debts: what nodes owe their neighbours, see `Debts`
    """

    def __init__(
        self, student: Student, tables: Tables, owed: Sequence[NDArray[np.float32]] | None
    ) -> None:
        """Starts without kept sums.

        Args:
            owed: by layer float32 [rows], what each node owes its neighbours; None: nothing. The
                arrays are written to.
        """
        self.weighting = student.weighting
        self.tables = tables
        self.linear = self.weighting in LINEAR
        rows = tables.logits.split
        widths = [table.width for table in tables.activations]
        self.sums = [KeptSums(width, rows if self.linear else 0) for width in widths]
        self.debts = Debts(len(widths), rows, owed)

    def affected(self, number: int, moved: Moved, step: Step) -> NDArray[np.int64]:
        """Finds the sorted rows that layer `number` must run for; updates their sums."""
        if self.weighting == "none":
            return self.unlinked(moved, step)
        if self.reaches_most(moved, step):
            return self.everything(number, moved, step)
        return self.reached(number, self.wave(number, moved, step), step)

    def unlinked(self, moved: Moved, step: Step) -> NDArray[np.int64]:
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
        if self.weighting not in ("sum", "symmetric"):
            return most
        near = view.adjacent(rows)
        some = near.degrees > 0
        if some.any():
            most[some] = np.maximum.reduceat(view.degrees(near.indices), near.indptr[:-1][some])
        return 1 / most if self.weighting == "sum" else 1 / np.sqrt(most + 1)

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
        if self.weighting != "symmetric":
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
        if self.weighting == "symmetric":  # changed nodes are replaced below
            values *= scales(step.old.degrees(rows), "symmetric")[:, None]
        if len(sources.rows):
            place = np.searchsorted(sources.rows, rows)
            place[place == len(sources.rows)] = 0
            there = sources.rows[place] == rows
            values[there] = sources.old[place[there]]
        return values
