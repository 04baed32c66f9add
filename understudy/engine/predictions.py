"""Logits and errors → the predictions of a request, in its order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.messages import LabelScore, Node, Prediction, error_detail
from understudy.engine.requests import Resolution
from understudy.engine.scores import best_label, best_labels, probabilities
from understudy.engine.student import Inference

SCORE_DECIMALS = 6


def joined_logits(resolution: Resolution, inference: Inference | None) -> NDArray[np.float32]:
    """The logits of `resolution.positions`, in that order; float32 [B, classes]."""
    stored = resolution.state.logits(np.array(resolution.stored_rows, dtype=np.int64))
    return stored if inference is None else np.concatenate([stored, inference.logits])


def assemble(
    nodes: Sequence[Node],
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
        return [Prediction(0, nodes[0].id, best.label, best.score, (best,))]
    predictions = {
        position: Prediction(position, nodes[position].id, error=error_detail(error))
        for position, error in resolution.errors.items()
    }
    labels, scores = best_labels(probabilities(logits, temperature), top_k)
    rounded = scores.astype(np.float64).round(SCORE_DECIMALS)
    for position, label_row, score_row in zip(
        resolution.positions, labels.tolist(), rounded.tolist(), strict=True
    ):
        pairs = zip(label_row, score_row, strict=True)
        top = tuple([LabelScore(label_names[label], score) for label, score in pairs])
        best = top[0]
        predictions[position] = Prediction(
            position, nodes[position].id, best.label, best.score, top
        )
    return [predictions[position] for position in range(len(nodes))]
