"""Every node's activations from nothing, where a bundle does not hold them."""

import numpy as np

from bundle import Manifest
from graph.progress import Progress, silent
from graph.versions import VersionedTable
from graph.view import GraphView
from service.layer_runs import LayerRuns
from service.state import Tables
from service.student import Student

CHUNK = 4_096  # nodes a step: bounds what is in memory besides the tables


def compute_tables(
    student: Student, view: GraphView, manifest: Manifest, progress: Progress = silent
) -> Tables:
    """Computes h0 and every layer for all rows of a view, in chunks."""
    hidden, classes = manifest.student.hidden, len(manifest.label_names)
    activations = tuple(empty_table(view.num_rows, hidden) for _ in student.layers)
    tables = Tables(activations, empty_table(view.num_rows, classes))
    runs = LayerRuns(student, tables, hubs=None)
    chunks = np.array_split(np.arange(view.num_rows), -(-view.num_rows // CHUNK))
    done, total = 0, view.num_rows * len(tables.layers)
    for number, table in enumerate(tables.layers):
        for rows in chunks:
            if number == 0:
                values = student.text_input([view.text(row) for row in rows.tolist()])
            else:
                values = runs.run(number - 1, rows, view)
            table.overwrite(rows, values)
            done += len(rows)
            progress("Computing activations", done, total)
    return tables


def empty_table(rows: int, width: int) -> VersionedTable:
    return VersionedTable(np.zeros((rows, width), np.float32))
