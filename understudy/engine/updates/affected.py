"""What a change of the graph does to the activations: exactly the affected nodes, layer by layer.

A layer's result for a node depends on its own activation, on its neighbours' and, by the weights,
on its degree; with GCN's symmetric weights also on its neighbours' degrees. So a layer is run again
for the nodes whose own activation moved, whose neighbours changed, or that have a neighbour which
moved; the nodes that came out different are what moved for the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.engine.errors import InferenceError
from understudy.engine.state import Tables
from understudy.engine.student import Student
from understudy.engine.updates.aggregated import LINEAR, scales
from understudy.engine.updates.cached_sums import KeptSums, Moved
from understudy.engine.updates.layers import LayerRuns
from understudy.graph.csr import Adjacency
from understudy.graph.distinct import union
from understudy.graph.store import GraphChange
from understudy.graph.versions import Undo, VersionedTable
from understudy.graph.view import GraphView

TEXTS_A_RUN = 256  # encoded at once
# A node wakes its neighbours once it moved their sums, all told, by this much. What it owes them
# until then is kept, so it never adds up to more; `settle` pays it.
WAKING = 1e-5
SETTLED_AT_ONCE = 8_192  # neighbours woken a step by `settle`, unless one node alone has more


@dataclass(frozen=True, slots=True)
class Step:
    """One change as the layers see it.

    Shapes:
        touched: int64, sorted rows whose neighbours changed, removed nodes left out
    """

    old: GraphView
    new: GraphView
    change: GraphChange
    undo: Undo
    touched: NDArray[np.int64]
    settling: bool


class Incremental:
    """Keeps the tables equal to what a full computation on the newest graph would give."""

    def __init__(
        self,
        student: Student,
        tables: Tables,
        owed: Sequence[NDArray[np.float32]] | None = None,
        waking: float = WAKING,
    ) -> None:
        """Assembles.

        Args:
            owed: by layer float32 [rows], what each node owes its neighbours; None is nothing.
                Written to from here on.
            waking: what a node may owe.
        """
        self.student = student
        self.tables = tables
        self.waking = waking
        self.linear = student.weighting in LINEAR
        rows = tables.logits.split
        widths = [table.width for table in tables.activations]
        self.sums = [KeptSums(width, rows if self.linear else 0) for width in widths]
        nothing = [np.zeros(rows, np.float32) for _ in tables.activations]
        self.owed = [VersionedTable(values) for values in (nothing if owed is None else owed)]
        self.owing: list[tuple[int, NDArray[np.int64], NDArray[np.float32]]] = []
        self.runs = LayerRuns(student, tables, self.sums)

    def update(
        self,
        old: GraphView,
        new: GraphView,
        change: GraphChange,
        undo: Undo,
        settling: bool = False,
    ) -> int:
        """Recomputes what a change affects, unseen by readers of the old view.

        Args:
            settling: wake the neighbours of every node that owes them anything.

        Returns:
            How many rows were computed, of all layers together.

        Raises:
            InferenceError: the networks failed, or gave a value that is not finite.
        """
        touched = np.setdiff1d(change.touched, change.removed, assume_unique=True)
        step = Step(old, new, change, undo, touched, settling)
        self.owing = []
        for sums in self.sums:
            sums.drop(change.removed)
        try:
            moved = self.embed(step)
            computed = len(change.texts)
            for number in range(len(self.student.layers)):
                rows = self.affected(number, moved, step)
                computed += len(rows)
                values = self.runs.run(number, rows, new)
                moved = self.write(number + 1, rows, values, step)
        except InferenceError:
            raise
        except Exception as error:  # onnxruntime's own errors share no narrower root
            raise InferenceError("the student's networks failed on a change") from error
        return computed

    def keep(self) -> None:
        """The change is published."""
        for number, rows, owed in self.owing:
            self.owed[number].reserve(int(rows.max(initial=-1)) + 1)
            self.owed[number].overwrite(rows, owed)
        self.owing = []
        for sums in self.sums:
            sums.published()

    def forget(self) -> None:
        """The change was taken back."""
        self.owing = []
        for sums in self.sums:
            sums.take_back()

    def owed_now(self, rows: int) -> list[NDArray[np.float32]]:
        """A copy of what each of the first rows owes its neighbours, by layer float32 [rows]."""
        for table in self.owed:
            table.reserve(rows)
        return [table.newest(np.arange(rows)) for table in self.owed]

    @property
    def owes(self) -> bool:
        """Whether `update` with `settling` would change anything."""
        return any(table.base.any() or table.grown.any() for table in self.owed)

    def embed(self, step: Step) -> Moved:
        """h0 of the nodes whose text is new."""
        rows = step.change.texts
        texts = [step.new.text(row) for row in rows.tolist()]
        pieces = [
            self.student.text_input(texts[start : start + TEXTS_A_RUN])
            for start in range(0, len(texts), TEXTS_A_RUN)
        ]
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
            different = (values != old).any(axis=1)
            if not different.all():
                moved = Moved(rows[different], old[different], values[different])
        table.put(step.undo, moved.rows, moved.new, moved.old)
        return moved

    def affected(self, number: int, moved: Moved, step: Step) -> NDArray[np.int64]:
        """Sorted rows for which layer `number`, counted from 0, must run; sums are updated."""
        if self.student.weighting == "none":
            return moved.rows
        if self.reaches_most(moved, step):
            return self.everything(number, moved, step)
        sources = self.sources(number, moved, step)
        near = step.new.adjacent(sources.rows)
        differences = sources.new - sources.old
        around: NDArray[np.integer] = near.indices
        if self.linear:
            around = self.follow(number, sources, near, differences, step)
        wakes = self.waking_rows(number, sources.rows, differences, step)
        if not wakes.all():
            around = near.indices[np.repeat(wakes, near.degrees)]
        pieces = [moved.rows, step.touched, around]
        if step.settling:
            pieces.append(step.new.adjacent(self.debtors(number, step)).indices)
        rows = union(pieces, step.new.num_rows)
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
        self.owed[number].reserve(len(rows))
        self.owing.append((number, rows, np.zeros(len(rows), np.float32)))
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

    def waking_rows(
        self,
        number: int,
        rows: NDArray[np.int64],
        differences: NDArray[np.float32],
        step: Step,
    ) -> NDArray[np.bool_]:
        """Which sources' neighbours must run again; the others owe them what they moved."""
        if step.settling:
            return np.ones(len(rows), np.bool_)
        owed = self.owed[number]
        owed.reserve(int(rows.max(initial=-1)) + 1)
        total = owed.newest(rows) + largest(differences, self.waking)
        wakes = total > self.waking
        self.owing.append((number, rows, np.where(wakes, 0, total).astype(np.float32)))
        return np.asarray(wakes)

    def debtors(self, number: int, step: Step) -> NDArray[np.int64]:
        """Nodes that owe their neighbours anything, and pay it now."""
        owed = self.owed[number]
        debtors = np.flatnonzero(np.concatenate([owed.base, owed.grown]))
        reached = np.cumsum(step.new.degrees(debtors))
        debtors = debtors[: 1 + int(np.searchsorted(reached, SETTLED_AT_ONCE))]
        self.owing.append((number, debtors, np.zeros(len(debtors), np.float32)))
        return debtors


def largest(differences: NDArray[np.float32], enough: float) -> NDArray[np.float32]:
    """The largest absolute value of each row [B, d], or a smaller one that exceeds `enough`."""
    squares = np.einsum("ij,ij->i", differences, differences)
    bounds: NDArray[np.float32] = np.sqrt(squares / max(1, differences.shape[1]))
    small = np.flatnonzero(~(bounds > enough))
    bounds[small] = np.abs(differences[small]).max(axis=1, initial=0.0)
    return bounds
