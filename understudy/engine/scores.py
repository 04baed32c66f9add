"""Logits → calibrated probabilities → the best labels."""

import numpy as np
from numpy.typing import NDArray


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """The softmax of logits / temperature; float32 [B, classes]."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def best_labels(
    scores: NDArray[np.float32], top_k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The labels of the highest scores and these scores, best first.

    Equal scores stand in the order of the labels. Each is [B, min(top_k, classes)].
    """
    if top_k == 1:
        return scores.argmax(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    labels = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    return labels, np.take_along_axis(scores, labels, axis=1)


def best_label(logits: NDArray[np.float32], temperature: float) -> tuple[int, float]:
    """The best label of one node, float32 [classes], and its score: as the two functions above.

    A look-up of one node is mostly the overhead of small array operations; these are the fewest.
    """
    best = int(logits.argmax())
    return best, 1.0 / float(np.exp((logits - logits[best]) / np.float32(temperature)).sum())
