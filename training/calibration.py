"""Honest confidences, and when to ask the teacher instead; all of it chosen on validation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

TEMPERATURES = (0.05, 20.0)  # between which the best is sought
CURVE_POINTS = 51  # of the risk-coverage curve, at most


@dataclass(frozen=True, slots=True)
class Calibration:
    """How to read a student's logits.

    The threshold is the lowest confidence whose nodes, and all more confident ones, reach the
    wanted accuracy on validation; above 1 where no confidence does, so that all go to the teacher.
    """

    temperature: float = 1.0  # logits are divided by it before the softmax
    threshold: float | None = None  # confidence from which `route: auto` keeps the answer
    threshold_accuracy: float = 0.0  # on validation, of nodes at or above the threshold
    threshold_coverage: float = 0.0  # on validation, their share
    risk_coverage: tuple[tuple[float, float], ...] = ()  # (coverage, error rate), rising coverage


NEVER = 1.01  # a threshold that no confidence reaches


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """The temperature that minimises the negative log-likelihood (arXiv 1706.04599, section 4.2).

    Shapes:
        logits: [B, C]; labels: int64 [B]; B is at least 1
    """
    values = np.asarray(logits, dtype=np.float64)

    def loss(log_temperature: float) -> float:
        scores = log_softmax(values / np.exp(log_temperature), axis=1)
        return -float(scores[np.arange(len(labels)), labels].mean())

    bounds = (float(np.log(TEMPERATURES[0])), float(np.log(TEMPERATURES[1])))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def calibrate(
    logits: NDArray[np.floating], labels: NDArray[np.int64], accuracy: float
) -> Calibration:
    """Calibrates on validation logits [B, C].

    Args:
        accuracy: wanted of the answers that the student keeps to itself, 0 to 1.
    """
    temperature = fit_temperature(logits, labels)
    probabilities = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (probabilities.argmax(axis=1) == labels)[order]
    confidence = confidence[order]
    counts = np.arange(1, len(labels) + 1)
    accuracies = np.cumsum(right) / counts  # of the k most confident
    # Equal confidences cannot be told apart by a threshold: only the last of them is a cut.
    cuts = np.append(confidence[1:] < confidence[:-1], True)
    good = np.flatnonzero(cuts & (accuracies >= accuracy))
    points = np.unique(np.linspace(0, len(labels) - 1, CURVE_POINTS).round().astype(int))
    curve = tuple((float(counts[i] / len(labels)), float(1 - accuracies[i])) for i in points)
    if not len(good):
        return Calibration(temperature, NEVER, 0.0, 0.0, curve)
    last = int(good[-1])
    coverage = float(counts[last] / len(labels))
    return Calibration(
        temperature, float(confidence[last]), float(accuracies[last]), coverage, curve
    )
