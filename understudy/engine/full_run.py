"""Computes every node's activations, for a bundle that does not hold them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from understudy.engine.state import Tables
from understudy.engine.student import Student
from understudy.graph.layers.propagation import propagate
from understudy.graph.mutable.versions import VersionedTable
from understudy.graph.mutable.view import GraphView
from understudy.progress import Progress, silent

TEXTS_A_STEP = 1_024


def compute_tables(student: Student, view: GraphView, progress: Progress = silent) -> Tables:
    """Computes h0 and every layer for all rows of a view without gaps."""
    total = view.num_rows * (1 + len(student.layers))
    progress("Computing activations", 0, total)
    pieces = []
    for start in range(0, view.num_rows, TEXTS_A_STEP):
        rows = range(start, min(start + TEXTS_A_STEP, view.num_rows))
        pieces.append(student.text_input([view.text(row) for row in rows]))
        progress("Computing activations", rows.stop, total)
    result = [np.concatenate(pieces)]
    for values in all_layers(student, view, result[0]):
        result.append(values)
        progress("Computing activations", view.num_rows * len(result), total)
    *activations, logits = (VersionedTable(values) for values in result)
    return Tables(tuple(activations), logits)


def all_layers(
    student: Student, view: GraphView, h: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """Yields h1 and so on and the logits, from h0 of all rows, float32 [rows, hidden]."""
    near = view.neighborhoods(np.arange(view.num_rows))
    for layer in student.layers:
        h = propagate(layer, h, h, near, student.weighting)
        yield h
