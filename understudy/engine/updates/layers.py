"""Runs one layer for stored nodes over the newest tables, in steps that bound the memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from understudy.engine.gathered import GATHERED_ROWS, steps
from understudy.engine.state import Tables
from understudy.engine.student import Student
from understudy.engine.updates.aggregated import (
    LINEAR,
    aggregated_from_sums,
    run_aggregated,
    run_alone,
    scales,
    table_sums,
)
from understudy.engine.updates.cached_sums import KeptSums
from understudy.graph.layers.neighborhoods import Neighborhoods
from understudy.graph.layers.propagation import propagate
from understudy.graph.mutable.view import GraphView

SUMMED_NEIGHBORS = 262_144  # per step that sums neighbours without gathering them
SUMMED_ROWS = 4_096  # nodes per step with kept sums, so that the data stay in the cache


class LayerRuns:
    """Runs the student's layers for stored nodes; used by the writer only.

    Args:
        sums: kept sums, one per layer.
    """

    def __init__(self, student: Student, tables: Tables, sums: Sequence[KeptSums]) -> None:
        self.student = student
        self.tables = tables
        self.sums = sums

    def run(
        self, number: int, rows: NDArray[np.int64], view: GraphView, keeping: bool = True
    ) -> NDArray[np.float32]:
        """Runs layer `number`, counted from 0, for sorted rows of the newest view; float32 [B, d'].

        Args:
            keeping: whether to use and keep the neighbours' sums.
        """
        result = np.empty((len(rows), self.tables.layers[number + 1].width), np.float32)
        if self.student.weighting not in LINEAR:
            for part in steps(view.degrees(rows), GATHERED_ROWS):
                result[part] = self.run_plain(number, rows[part], view)
        elif keeping:
            self.keep_sums(number, rows, view)
            for start in range(0, len(rows), SUMMED_ROWS):
                part = slice(start, start + SUMMED_ROWS)
                sums = self.sums[number].values.take(rows[part], axis=0)
                result[part] = self.run_summed(number, rows[part], sums, view)
        else:
            for part, sums in self.fresh_sums(number, rows, view):
                result[part] = self.run_summed(number, rows[part], sums, view)
        return result

    def run_plain(
        self, number: int, rows: NDArray[np.int64], view: GraphView
    ) -> NDArray[np.float32]:
        """Runs a layer over gathered neighbours."""
        layer, weighting = self.student.layers[number], self.student.weighting
        h = self.tables.activations[number].newest(rows)
        if weighting == "none":
            return run_alone(layer, h)
        near, gathered = self.gather(number, rows, view)
        return propagate(layer, h, gathered, near, weighting)

    def gather(
        self, number: int, rows: NDArray[np.int64], view: GraphView
    ) -> tuple[Neighborhoods, NDArray[np.float32]]:
        """Returns the neighbourhoods, and the activations that their indices refer to."""
        near = view.neighborhoods(rows)
        table = self.tables.activations[number]
        if len(near.indices) == 0:
            return near, np.zeros((1, table.width), np.float32)  # a table is never empty
        if int(near.indices.max()) < table.split:
            return near, table.base  # nothing to copy
        return replace(near, indices=np.arange(len(near.indices))), table.newest(near.indices)

    def run_summed(
        self, number: int, rows: NDArray[np.int64], sums: NDArray[np.float32], view: GraphView
    ) -> NDArray[np.float32]:
        """Runs a layer on sums of neighbours, float32 [B, d], which are overwritten."""
        h = self.tables.activations[number].newest(rows)
        aggregated = aggregated_from_sums(sums, h, view.degrees(rows), self.student.weighting)
        return run_aggregated(self.student.layers[number], h, aggregated)

    def keep_sums(self, number: int, rows: NDArray[np.int64], view: GraphView) -> None:
        """Computes the sums of nodes whose sums are not kept yet."""
        sums = self.sums[number]
        sums.reserve(view.num_rows)
        missing = rows[~sums.has(rows)]
        for part, values in self.fresh_sums(number, missing, view):
            sums.keep(missing[part], values)

    def fresh_sums(
        self, number: int, rows: NDArray[np.int64], view: GraphView
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Computes the sums of nodes' neighbours, float32 [B, d], in steps."""
        table, degrees = self.tables.activations[number], view.degrees(rows)
        scaled = self.student.weighting == "symmetric"
        scale = None
        if scaled and int(degrees.sum()) > view.num_rows:  # otherwise only neighbours are scaled
            scale = scales(view.degrees(np.arange(view.num_rows)), "symmetric")
        for part in steps(degrees, SUMMED_NEIGHBORS):
            near = view.adjacent(rows[part])
            if scale is not None:
                weights = scale[near.indices]
            elif scaled:
                weights = scales(view.degrees(near.indices), "symmetric")
            else:
                weights = np.ones(len(near.indices), np.float32)
            yield part, table_sums(table, near, weights)
