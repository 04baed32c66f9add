"""Infers a node whose answer is known, which shows whether the networks fit the activations."""

import numpy as np

from understudy.engine.errors import InferenceError
from understudy.engine.requests import UnseenNode
from understudy.engine.state import GraphState
from understudy.engine.student import Student
from understudy.graph.mutable.view import REMOVED

PROBE_TOLERANCE = 1e-2  # relative, of the probe's logits; providers differ in the last digits
PROBE_DEGREE = 4  # preferred degree of the probed node
PROBE_CANDIDATES = 1_024  # first rows, among which the probed node is chosen


def probe(state: GraphState, student: Student) -> None:
    """Runs a stored node as if it were unseen and compares the result with its stored logits.

    Raises:
        InferenceError: the networks fail, or do not reproduce the stored logits.
    """
    row = probe_row(state)
    if row is None:  # every node was removed
        student.infer(state, [UnseenNode("probe", np.empty(0, np.int64))])
        return
    unseen = UnseenNode(state.graph.text(row), state.graph.neighbors(row).astype(np.int64))
    expected = state.logits(np.array([row]))[0]
    difference = np.abs(student.infer(state, [unseen]).logits[0] - expected).max()
    if difference > PROBE_TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise InferenceError(
            f"a stored node sent as unseen gets scores that differ by {difference:.3g}"
        )


def probe_row(state: GraphState) -> int | None:
    """Finds a stored node with about PROBE_DEGREE neighbours; None if no candidate is left."""
    rows = np.arange(min(state.graph.num_rows, PROBE_CANDIDATES))
    nearest = np.argsort(np.abs(state.graph.degrees(rows) - PROBE_DEGREE), kind="stable")
    live = (row for row in nearest.tolist() if state.graph.record(row) is not REMOVED)
    return next(live, None)
