"""Hidden states of nodes, and the stored nodes with the most similar ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from understudy.engine.requests import Resolution
from understudy.engine.state import GraphState

if TYPE_CHECKING:
    from understudy.engine.student import Inference

BLOCK_ROWS = 8_192  # rows compared at a time: 8 MiB at width 256 and float32


@dataclass(frozen=True, slots=True)
class Similar:
    """The stored nodes most similar to one, best first; ties in the order of their rows.

    Shapes:
        rows: int64 [K]
        cosines: float32 [K], from -1 to 1
    """

    rows: NDArray[np.int64]
    cosines: NDArray[np.float32]


def hidden_states(resolution: Resolution, inference: "Inference | None") -> NDArray[np.float32]:
    """Reads the last hidden state of the nodes at `resolution.positions`; float32 [B, hidden].

    It is the input of the last layer.
    """
    rows = np.array(resolution.stored_rows, dtype=np.int64)
    stored = last_hidden(resolution.state, rows)
    return stored if inference is None else np.concatenate([stored, inference.hidden])


def last_hidden(state: GraphState, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Reads the last hidden states of stored nodes, by their rows; float32 [B, hidden]."""
    return state.activations(len(state.tables.activations) - 1, rows)


def most_similar(state: GraphState, row: int, count: int, label: int | None = None) -> Similar:
    """Finds the stored nodes with the highest cosine to a node's last hidden state, comparing all.

    Args:
        row: of the node, which is excluded.
        label: if given, only nodes with this predicted label, an index of the label names.
    """
    own = unit_rows(last_hidden(state, np.array([row])))[0]
    nearest, cosines = np.empty(0, np.int64), np.empty(0, np.float32)
    rows = state.graph.live_rows()
    rows = rows[rows != row]
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        if label is not None:
            block = block[state.best_labels(block) == label]
        nearest = np.concatenate([nearest, block])
        cosines = np.concatenate([cosines, unit_rows(last_hidden(state, block)) @ own])
        best = np.argsort(-cosines, kind="stable")[:count]
        nearest, cosines = nearest[best], cosines[best]
    return Similar(nearest, cosines.clip(-1, 1))


def unit_rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scales rows to length 1, float32 [B, d]; rows of zeros stay."""
    norms = np.sqrt(np.einsum("bd,bd->b", values, values, dtype=np.float64))
    norms[norms == 0] = 1
    unit: NDArray[np.float32] = (values / norms[:, None]).astype(np.float32)
    return unit
