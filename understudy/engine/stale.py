"""Logits that a change left stale, computed when they are read.

Otherwise a change would run the last layer for all nodes around it at once, often only for the next
change to repeat it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.engine.errors import InferenceError
from understudy.engine.gathered import GATHERED_ROWS, Gathered, steps
from understudy.engine.updates.aggregated import run_alone
from understudy.graph.layers.neighborhoods import Weighting
from understudy.graph.layers.propagation import Layer
from understudy.graph.mutable.versions import VersionedTable
from understudy.graph.mutable.view import GraphView


@dataclass(frozen=True, slots=True)
class StaleLogits:
    """Marks of stale logits, and the last layer, which computes them.

    A reader computes them from the graph and the activations of its own version, without a lock and
    without storing them.

    Shapes:
        marks: bool [rows], of nodes whose logits are stale
    """

    marks: VersionedTable
    layer: Layer
    weighting: Weighting

    def fill(
        self,
        graph: GraphView,
        table: VersionedTable,
        rows: NDArray[np.int64],
        logits: NDArray[np.float32],
    ) -> None:
        """Replaces stale logits in `logits` with computed ones.

        Args:
            table: the input of the last layer.

        Shapes:
            rows: int64 [B]; logits: float32 [B, classes], of those rows

        Raises:
            InferenceError: the last layer fails, or gives a value that is not finite.
        """
        places = np.flatnonzero(self.marks.take(graph.version, rows))
        if len(places) == 0:
            return
        stale_rows = rows[places]
        try:
            for part in steps(graph.degrees(stale_rows), GATHERED_ROWS):
                logits[places[part]] = self.run(graph, table, stale_rows[part])
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise InferenceError("the student's last layer failed on a stored node") from error
        if not np.isfinite(logits[places]).all():
            raise InferenceError(
                "the student gave no finite score for a stored node that a change affected"
            )

    def run(
        self, graph: GraphView, table: VersionedTable, rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Runs the last layer for some nodes; float32 [B, classes]."""
        h = table.take(graph.version, rows)
        if self.weighting == "none":
            return run_alone(self.layer, h)
        gathered = Gathered(graph.neighborhoods(rows), self.weighting)
        return gathered.run(self.layer, h, table.take(graph.version, gathered.rows))
