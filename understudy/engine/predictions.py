"""Logits and errors → the predictions of a request, in its order."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from understudy.engine.errors import NodeError
from understudy.engine.requests import AskedNode, Resolution
from understudy.engine.scores import best_label, best_labels, probabilities
from understudy.engine.student import Inference

SCORE_DECIMALS = 6


class LabelScore(Struct, frozen=True):
    """A label and its calibrated probability."""

    label: str
    score: float


class Prediction(Struct, frozen=True):
    """The answer for one node.

    A struct, since hundreds of them are made for one request, several times faster.

    Attributes:
        index: position in the request.
        id: as asked.
        top: the top_k labels, best first; empty where there is an error.
        error: why there is no answer.
    """

    index: int
    id: str | None
    top: tuple[LabelScore, ...] = ()
    error: NodeError | None = None

    @property
    def label(self) -> str | None:
        """The most probable label."""
        return self.top[0].label if self.top else None

    @property
    def score(self) -> float | None:
        """Its calibrated probability."""
        return self.top[0].score if self.top else None


def joined_logits(resolution: Resolution, inference: Inference | None) -> NDArray[np.float32]:
    """The logits of `resolution.positions`, in that order; float32 [B, classes]."""
    stored = resolution.state.logits(np.array(resolution.stored_rows, dtype=np.int64))
    return stored if inference is None else np.concatenate([stored, inference.logits])


def assemble(
    nodes: Sequence[AskedNode],
    resolution: Resolution,
    logits: NDArray[np.float32],
    label_names: Sequence[str],
    temperature: float,
    top_k: int,
) -> list[Prediction]:
    """One prediction a node; a bad node's has its `error` set.

    Shapes:
        logits: float32 [B, classes], of `resolution.positions` in that order
    """
    if top_k == 1 and len(nodes) == len(logits) == 1:
        label, score = best_label(logits[0], temperature)
        best = LabelScore(label_names[label], round(score, SCORE_DECIMALS))
        return [Prediction(0, nodes[0].id, (best,))]
    predictions = {
        position: Prediction(position, nodes[position].id, error=error)
        for position, error in resolution.errors.items()
    }
    labels, scores = best_labels(probabilities(logits, temperature), top_k)
    rounded = scores.astype(np.float64).round(SCORE_DECIMALS)
    for position, label_row, score_row in zip(
        resolution.positions, labels.tolist(), rounded.tolist(), strict=True
    ):
        pairs = zip(label_row, score_row, strict=True)
        top = tuple([LabelScore(label_names[label], score) for label, score in pairs])
        predictions[position] = Prediction(position, nodes[position].id, top)
    return [predictions[position] for position in range(len(nodes))]
