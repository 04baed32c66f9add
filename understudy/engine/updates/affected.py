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
from understudy.engine.updates.cached_sums import HubSums, Moved
from understudy.engine.updates.layers import LayerRuns
from understudy.graph.neighborhoods import Neighborhoods
from understudy.graph.store import GraphChange
from understudy.graph.versions import Undo, VersionedTable
from understudy.graph.view import GraphView

TEXTS_A_RUN = 256  # encoded at once
SOURCES_A_STEP = 8_192  # moved nodes whose differences are added at once
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
        self.hubs = [HubSums(table.width, rows) for table in tables.activations]
        nothing = [np.zeros(rows, np.float32) for _ in tables.activations]
        self.owed = [VersionedTable(values) for values in (nothing if owed is None else owed)]
        self.owing: list[tuple[int, NDArray[np.int64], NDArray[np.float32]]] = []
        self.runs = LayerRuns(student, tables, self.hubs)

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
        for hubs in self.hubs:
            hubs.drop(change.removed)
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

    def forget(self) -> None:
        """The change was taken back."""
        self.owing = []
        for hubs in self.hubs:
            hubs.clear()

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
        different = (values != old).any(axis=1)
        moved = Moved(rows[different], old[different], values[different])
        table.put(step.undo, moved.rows, moved.new)
        return moved

    def affected(self, number: int, moved: Moved, step: Step) -> NDArray[np.int64]:
        """Sorted rows for which layer `number`, counted from 0, must run; sums are updated."""
        if self.student.weighting == "none":
            return moved.rows
        sources = self.sources(number, moved, step)
        if self.linear:
            self.follow(number, sources, step)
        waking = self.waking_rows(number, sources, step)
        near = step.new.neighborhoods(waking).indices
        return np.unique(np.concatenate([moved.rows, step.touched, near]))

    def sources(self, number: int, moved: Moved, step: Step) -> Moved:
        """What the neighbours sum up: activations, with GCN scaled by the node's own degree."""
        if self.student.weighting != "symmetric":
            return moved
        rows = np.union1d(moved.rows, step.touched)
        new: NDArray[np.float32] = self.tables.layers[number].newest(rows)
        old = new.copy()
        old[np.searchsorted(rows, moved.rows)] = moved.old
        before, after = step.old.degrees(rows), step.new.degrees(rows)
        return Moved(
            rows,
            old * scales(before, "symmetric")[:, None],
            new * scales(after, "symmetric")[:, None],
        )

    def follow(self, number: int, sources: Moved, step: Step) -> None:
        """Adds to the hubs' sums what changed in them."""
        hubs, change = self.hubs[number], step.change
        for start in range(0, len(sources.rows), SOURCES_A_STEP):
            part = slice(start, start + SOURCES_A_STEP)
            add_around(hubs, step.new, sources.rows[part], sources.new[part])
            add_around(hubs, step.old, sources.rows[part], -sources.old[part])
        for edges, view, sign in (
            (change.added_edges, step.new, 1.0),
            (change.removed_edges, step.old, -1.0),
        ):
            both = np.concatenate([edges, edges[:, ::-1]])
            both = both[~np.isin(both[:, 1], sources.rows)]  # those are followed above
            if len(both):
                values = self.tables.layers[number].newest(both[:, 1])
                scale = scales(view.degrees(both[:, 1]), self.student.weighting)[:, None]
                hubs.add(both[:, 0], np.arange(len(both)), sign * scale * values)

    def waking_rows(self, number: int, sources: Moved, step: Step) -> NDArray[np.int64]:
        """The sources whose neighbours must run again; the others owe them what they moved."""
        owed, rows = self.owed[number], sources.rows
        if step.settling:
            debtors = np.flatnonzero(np.concatenate([owed.base, owed.grown]))
            reached = np.cumsum(step.new.degrees(debtors))
            debtors = debtors[: 1 + int(np.searchsorted(reached, SETTLED_AT_ONCE))]
            self.owing.append((number, debtors, np.zeros(len(debtors), np.float32)))
            return np.asarray(np.union1d(rows, debtors))
        owed.reserve(int(rows.max(initial=-1)) + 1)
        effect = np.abs(sources.new - sources.old).max(axis=1, initial=0.0)
        total = owed.newest(rows) + effect
        wakes = total > self.waking
        self.owing.append((number, rows, np.where(wakes, 0, total).astype(np.float32)))
        return np.asarray(rows[wakes])


def add_around(
    hubs: HubSums, view: GraphView, rows: NDArray[np.int64], differences: NDArray[np.floating]
) -> None:
    """Adds each node's difference to the kept sums of its neighbours in a view."""
    near: Neighborhoods = view.neighborhoods(rows)
    hubs.add(near.indices, np.repeat(np.arange(len(rows)), near.self_degrees), differences)
