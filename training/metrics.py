"""How good predictions are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import f1_score

CALIBRATION_BINS = 15


@dataclass(frozen=True, slots=True)
class Metrics:
    accuracy: float  # share of nodes, 0 to 1
    macro_f1: float
    calibration_error: float  # expected, over 15 equal-width bins of confidence


def score(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Metrics:
    """Scores logits [B, classes] against labels [B]; B must be at least 1."""
    probabilities = softmax(logits.astype(np.float64), axis=1)
    predicted = probabilities.argmax(axis=1)
    return Metrics(
        accuracy=float((predicted == labels).mean()),
        macro_f1=float(f1_score(labels, predicted, average="macro", zero_division=0.0)),
        calibration_error=calibration_error(probabilities.max(axis=1), predicted == labels),
    )


def calibration_error(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Expected calibration error (arXiv 1706.04599, eq. 3)."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))
