"""One layer for some stored nodes, over the newest tables, in steps that bound the memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from understudy.engine.state import Tables
from understudy.engine.student import Student
from understudy.engine.updates.aggregated import (
    LINEAR,
    aggregated_from_sums,
    run_aggregated,
    run_alone,
    scales,
)
from understudy.engine.updates.cached_sums import HUB_DEGREE, HubSums
from understudy.graph.aggregation import aggregate
from understudy.graph.neighborhoods import Neighborhoods
from understudy.graph.propagation import propagate
from understudy.graph.view import GraphView

GATHERED_ROWS = 65_536  # neighbours' rows a step: at width 256 and float32, 64 MiB


class LayerRuns:
    """Runs the student's layers for stored nodes; only the writer may."""

    def __init__(self, student: Student, tables: Tables, hubs: Sequence[HubSums]) -> None:
        """Assembles.

        Args:
            hubs: sums to use and to keep, one a layer.
        """
        self.student = student
        self.tables = tables
        self.hubs = hubs

    def run(self, number: int, rows: NDArray[np.int64], view: GraphView) -> NDArray[np.float32]:
        """Layer `number`, counted from 0, for sorted rows of the newest view; float32 [B, d']."""
        result = np.empty((len(rows), self.tables.layers[number + 1].width), np.float32)
        if self.student.weighting in LINEAR:
            hub = (self.hubs[number].slots(rows) >= 0) | (view.degrees(rows) >= HUB_DEGREE)
            result[hub] = self.run_hubs(number, self.hubs[number], rows[hub], view)
            places = np.flatnonzero(~hub)
        else:
            places = np.arange(len(rows))
        for part in steps(view.degrees(rows[places])):
            result[places[part]] = self.run_plain(number, rows[places[part]], view)
        return result

    def run_plain(
        self, number: int, rows: NDArray[np.int64], view: GraphView
    ) -> NDArray[np.float32]:
        """Gathers the neighbours."""
        layer, weighting = self.student.layers[number], self.student.weighting
        table = self.tables.activations[number]
        h = table.newest(rows)
        if weighting == "none":
            return run_alone(layer, h)
        near, gathered = self.gather(number, rows, view)
        if weighting not in LINEAR:
            return propagate(layer, h, gathered, near, weighting)
        return run_aggregated(layer, h, aggregate(h, gathered, near, weighting))

    def gather(
        self, number: int, rows: NDArray[np.int64], view: GraphView
    ) -> tuple[Neighborhoods, NDArray[np.float32]]:
        """The neighbourhoods, and the activations that their indices point into."""
        near = view.neighborhoods(rows)
        table = self.tables.activations[number]
        if len(near.indices) == 0:
            return near, np.zeros((1, table.width), np.float32)  # a table is never empty
        if int(near.indices.max()) < table.split:
            return near, table.base  # nothing to copy
        return replace(near, indices=np.arange(len(near.indices))), table.newest(near.indices)

    def run_hubs(
        self, number: int, hubs: HubSums, rows: NDArray[np.int64], view: GraphView
    ) -> NDArray[np.float32]:
        """Takes the sums that are kept, and keeps those that are not yet."""
        weighting = self.student.weighting
        if len(rows) == 0:
            return np.empty((0, self.tables.layers[number + 1].width), np.float32)
        for row in rows[hubs.slots(rows) < 0].tolist():
            hubs.keep(row, self.fresh_sum(number, row, view))
        h = self.tables.activations[number].newest(rows)
        sums = hubs.values[hubs.slots(rows)]
        aggregated = aggregated_from_sums(sums, h, view.degrees(rows), weighting)
        return run_aggregated(self.student.layers[number], h, aggregated)

    def fresh_sum(self, number: int, row: int, view: GraphView) -> NDArray[np.float64]:
        """float64 [d]: the neighbours' activations times their scales."""
        near = view.neighbors(row).astype(np.int64)
        table = self.tables.activations[number]
        total = np.zeros(table.width)
        for start in range(0, len(near), GATHERED_ROWS):
            part = near[start : start + GATHERED_ROWS]
            scale = scales(view.degrees(part), self.student.weighting)
            total += scale @ table.newest(part).astype(np.float64)
        return total


def steps(degrees: NDArray[np.int64]) -> Iterator[slice]:
    """Cuts nodes so that a step gathers at most GATHERED_ROWS, unless one node alone has more."""
    ends = np.cumsum(degrees + 1)
    start = 0
    while start < len(degrees):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + GATHERED_ROWS, side="right")), start + 1)
        yield slice(start, stop)
        start = stop
