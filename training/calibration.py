"""Metrics, calibrated confidences, and the rule for asking the teacher instead."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax, softmax

from training.deferral import (
    AGREEMENT,
    CONFIDENCE,
    LEVEL,
    NEVER,
    TENTHS,
    UNMEASURED,
    Deferral,
    TeacherCheck,
    decide,
    lower_bound,
    thresholds,
)
from understudy.graph.agreement import agreement
from understudy.graph.csr import Adjacency

CALIBRATION_BINS = 15
NO_LABEL = -1
FEW_NODES = 30  # of validation: with fewer, an accuracy has a standard error of up to 9 points


@dataclass(frozen=True, slots=True)
class Metrics:
    accuracy: float  # share of nodes, 0 to 1
    macro_f1: float
    calibration_error: float  # expected, over 15 equal-width bins of confidence


def score(
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    silent: NDArray[np.bool_] | None = None,
) -> Metrics:
    """Scores logits [B, classes] against labels [B]; B must be at least 1.

    Args:
        silent: bool [B], rows that name no label and count as wrong.
    """
    probabilities = softmax(logits.astype(np.float64), axis=1)
    predicted = probabilities.argmax(axis=1)
    if silent is not None:
        predicted[silent] = NO_LABEL
    return Metrics(
        accuracy=float((predicted == labels).mean()),
        macro_f1=macro_f1(labels, predicted),
        calibration_error=calibration_error(probabilities.max(axis=1), predicted == labels),
    )


def macro_f1(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """The mean F1 of all labels that occur or are predicted.

    Equals scikit-learn's, whose import would cost every training command a second.

    Args:
        labels: int64 [B]
        predicted: int64 [B]; NO_LABEL for no prediction
    """
    answered = predicted[predicted != NO_LABEL]
    count = int(max(labels.max(), answered.max(initial=0))) + 1
    true_counts, predicted_counts, hits = (
        np.bincount(values, minlength=count)
        for values in (labels, answered, labels[labels == predicted])
    )
    named = true_counts + predicted_counts > 0
    return float(np.mean(2 * hits[named] / (true_counts + predicted_counts)[named]))


def calibration_error(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    """Expected calibration error (arXiv 1706.04599, eq. 3)."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


TEMPERATURES = (0.05, 20.0)  # search range of the temperature


CURVE_POINTS = 51  # maximum number of points of the risk-coverage curve


@dataclass(frozen=True, slots=True)
class Calibration:
    """How to interpret a student's logits, and the rule of `route: auto`.

    The threshold is the lowest confidence from which on the nodes reach the wanted accuracy with
    high probability; above 1 if no confidence does.
    """

    temperature: float = 1.0  # logits are divided by it before the softmax
    threshold: float | None = None  # confidence from which the student reaches the wanted accuracy
    threshold_accuracy: float = 0.0  # on validation, of nodes at or above the threshold
    threshold_coverage: float = 0.0  # on validation, their share
    risk_coverage: tuple[tuple[float, float], ...] = ()  # (coverage, error rate) pairs
    threshold_bound: float = 0.0  # lower bound of the true accuracy, with probability 0.95
    wanted: float = 0.95  # accuracy of the student's own answers
    deferral: Deferral = field(default_factory=lambda: Deferral(UNMEASURED))


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


def honest_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """The fitted temperature, raised if it is more confident than so few nodes can justify.

    If every node is classified correctly, a sharper temperature is always likelier. Therefore the
    mean confidence must not exceed the accuracy (expectation consistency, arXiv 2303.02644), which
    the rule of succession estimates from B nodes as (right + 1) / (B + 2).

    Shapes:
        logits: [B, C]; labels: int64 [B]; B is at least 1
    """
    values = np.asarray(logits, dtype=np.float64)
    accuracy = (int((values.argmax(axis=1) == labels).sum()) + 1) / (len(labels) + 2)

    def surplus(log_temperature: float) -> float:
        scores = softmax(values / np.exp(log_temperature), axis=1)
        return float(scores.max(axis=1).mean()) - accuracy

    fitted = fit_temperature(logits, labels)
    if surplus(np.log(fitted)) <= 0:
        return fitted
    if surplus(np.log(TEMPERATURES[1])) >= 0:
        return TEMPERATURES[1]
    return float(np.exp(brentq(surplus, np.log(fitted), np.log(TEMPERATURES[1]))))


def calibrate(
    logits: NDArray[np.floating],
    labels: NDArray[np.int64],
    accuracy: float,
    agreement: NDArray[np.float64] | None = None,
    teacher: TeacherCheck | None = None,
) -> Calibration:
    """Calibrates on validation logits [B, C].

    Args:
        accuracy: target for the answers that the student keeps to itself, 0 to 1.
        agreement: float64 [B], with the neighbours' predictions, see `understudy.graph.agreement`.
        teacher: correctness of the teacher on these nodes, in the form in which it is served.
    """
    temperature = honest_temperature(logits, labels)
    probabilities = softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    signals = {CONFIDENCE: confidence}
    if agreement is not None:
        signals[AGREEMENT] = agreement
    threshold, kept, bound = sure_threshold(confidence, right, accuracy)
    return Calibration(
        temperature=temperature,
        threshold=threshold,
        threshold_accuracy=float(kept.mean()) if len(kept) else 0.0,
        threshold_coverage=len(kept) / len(labels),
        risk_coverage=risk_coverage(confidence, right),
        threshold_bound=bound,
        wanted=accuracy,
        deferral=decide(signals, right, teacher, accuracy),
    )


def calibrate_student(
    logits: NDArray[np.floating],
    labels: NDArray[np.int64],
    adjacency: Adjacency,
    validation: NDArray[np.int64],
    accuracy: float,
    teacher: TeacherCheck | None = None,
) -> Calibration:
    """Calibrates on a graph's validation nodes and their neighbours' predictions.

    Shapes:
        logits: [N, C]
        labels: int64 [N]
        validation: int64 [B], labelled, distinct
        teacher: its rows are positions in `validation`
    """
    predicted = logits.argmax(axis=1)
    near = [adjacency.neighbors(node) for node in validation.tolist()]
    agreeing = agreement(predicted[validation], near, predicted.__getitem__)
    return calibrate(logits[validation], labels[validation], accuracy, agreeing, teacher)


def sure_threshold(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], accuracy: float
) -> tuple[float, NDArray[np.bool_], float]:
    """The lowest decile of the confidences from which answers reach the wanted accuracy.

    A Clopper-Pearson lower bound must reach it: at most one in twenty draws of the validation nodes
    breaks any of the ten bounds. (The maximum of the accuracy itself over cuts would be too
    optimistic.)

    Returns:
        The threshold, which of the kept nodes are right (bool [K]), and their accuracy's bound.
    """
    for threshold in thresholds(confidence):
        kept = right[confidence >= threshold]
        bound = lower_bound(int(kept.sum()), len(kept), LEVEL / TENTHS)
        if bound >= accuracy and len(kept):
            return threshold, kept, bound
    return NEVER, right[:0], 0.0


def risk_coverage(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[tuple[float, float], ...]:
    """(coverage, error rate) of the most confident nodes, ascending coverage."""
    counts = np.arange(1, len(right) + 1)
    accuracies = np.cumsum(right[np.argsort(-confidence, kind="stable")]) / counts
    points = np.unique(np.linspace(0, len(right) - 1, CURVE_POINTS).round().astype(int))
    return tuple((float(counts[i] / len(right)), float(1 - accuracies[i])) for i in points)
