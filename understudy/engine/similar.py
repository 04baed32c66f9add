"""Vectors of nodes, and the stored nodes whose vectors point the same way."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from understudy.engine.requests import Resolution
from understudy.engine.state import GraphState

if TYPE_CHECKING:
    from understudy.engine.student import Inference

BLOCK_ROWS = 8_192  # compared at a time: at width 256 and float32, 8 MiB


@dataclass(frozen=True, slots=True)
class Similar:
    """The stored nodes most similar to one, best first; equal ones in the order of their rows.

    Shapes:
        rows: int64 [K]
        cosines: float32 [K], from -1 to 1
    """

    rows: NDArray[np.int64]
    cosines: NDArray[np.float32]


def hidden_states(resolution: Resolution, inference: "Inference | None") -> NDArray[np.float32]:
    """The last hidden state of the nodes at `resolution.positions`; float32 [B, hidden].

    It is what the last layer reads of a node: of L layers the activation above L - 1 of them.
    """
    rows = np.array(resolution.stored_rows, dtype=np.int64)
    stored = last_hidden(resolution.state, rows)
    return stored if inference is None else np.concatenate([stored, inference.hidden])


def last_hidden(state: GraphState, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The last hidden states of stored nodes, by their rows; float32 [B, hidden]."""
    return state.activations(len(state.tables.activations) - 1, rows)


def most_similar(state: GraphState, row: int, count: int, label: int | None = None) -> Similar:
    """The stored nodes nearest to one by the cosine of their last hidden states, by comparing all.

    Args:
        row: of the node, which is not among them.
        label: only nodes that are predicted to have this one, a position in the label names.
    """
    own = unit_rows(last_hidden(state, np.array([row])))[0]
    found, cosines = np.empty(0, np.int64), np.empty(0, np.float32)
    rows = state.graph.live_rows()
    rows = rows[rows != row]
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        if label is not None:
            block = block[state.best_labels(block) == label]
        found = np.concatenate([found, block])
        cosines = np.concatenate([cosines, unit_rows(last_hidden(state, block)) @ own])
        best = np.argsort(-cosines, kind="stable")[:count]
        found, cosines = found[best], cosines[best]
    return Similar(found, cosines.clip(-1, 1))


def unit_rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows at length 1, float32 [B, d]; a row of zeros, which points nowhere, stays."""
    norms = np.sqrt(np.einsum("bd,bd->b", values, values, dtype=np.float64))
    norms[norms == 0] = 1
    unit: NDArray[np.float32] = (values / norms[:, None]).astype(np.float32)
    return unit
