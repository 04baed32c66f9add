"""Temperatures and thresholds on distributions with known results."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import f1_score

from training.calibration import (
    NO_LABEL,
    TEMPERATURES,
    calibrate,
    fit_temperature,
    honest_temperature,
    macro_f1,
)
from training.deferral import NEVER


def test_the_temperature_that_logits_were_multiplied_by_is_found() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 4)) * 2
    labels = np.array([generator.choice(4, p=row) for row in softmax(logits, axis=1)])
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.05)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize(
    "predicted", [[0, 1, 4, 2], [3, 3, 3, 3], [NO_LABEL, 1, NO_LABEL, 0], [NO_LABEL] * 4]
)
def test_the_macro_f1_is_that_of_scikit_learn(predicted: list[int]) -> None:
    labels, found = np.array([0, 1, 1, 2]), np.array(predicted)
    named = sorted({*labels.tolist(), *predicted} - {NO_LABEL})
    expected = f1_score(labels, found, labels=named, average="macro", zero_division=0.0)
    assert macro_f1(labels, found) == pytest.approx(expected)


def test_scores_are_no_surer_than_so_few_nodes_can_tell() -> None:
    logits = np.array([[9.0, 0.0, 1.0], [0.5, 3.0, 0.0], [6.0, 1.0, 0.0]] * 10)
    labels = np.array([0, 1, 0] * 10)  # all right: the sharpest temperature is the likeliest
    temperature = honest_temperature(logits, labels)
    assert temperature > 4 * fit_temperature(logits, labels)
    assert softmax(logits / temperature, axis=1).max(axis=1).mean() == pytest.approx(31 / 32)
    assert calibrate(logits, labels, accuracy=0.95).temperature == temperature
    unsure = np.array([[1.0, 0.0], [0.0, 1.0]] * 50)  # right more often than it says
    right = (np.arange(100) % 2) ^ (np.arange(100) >= 80)
    assert honest_temperature(unsure, right) == pytest.approx(
        fit_temperature(unsure, right), rel=0.1
    )
    assert honest_temperature(np.array([[9.0, 0.0]]), np.array([1])) == TEMPERATURES[1]


def test_the_threshold_keeps_what_reaches_the_wanted_accuracy_for_sure() -> None:
    confidence = np.linspace(0.51, 0.999, 1_000)
    logits = np.log(np.stack([confidence, 1 - confidence], axis=1))
    labels = (np.arange(1_000) < 250).astype(np.int64)  # the least confident are wrong
    found = calibrate(logits, labels, accuracy=0.9)
    assert found.threshold is not None
    kept = softmax(logits / found.temperature, axis=1).max(axis=1) >= found.threshold
    assert kept.tolist() == [node >= 200 for node in range(1_000)]
    assert found.threshold_coverage == 0.8
    assert found.threshold_accuracy == 750 / 800
    assert 0.9 <= found.threshold_bound < found.threshold_accuracy
    assert found.risk_coverage[0] == (0.001, 0.0)
    assert found.risk_coverage[-1] == pytest.approx((1.0, 0.25))


def test_few_nodes_promise_nothing() -> None:
    logits = np.log(np.array([[0.99, 0.01]] * 9))
    found = calibrate(logits, np.zeros(9, np.int64), accuracy=0.95)  # all right, by chance or not
    assert found.threshold == NEVER
    assert (found.threshold_accuracy, found.threshold_coverage) == (0, 0)


def test_equal_confidences_stay_together() -> None:
    logits = np.log(np.array([[0.9, 0.1]] * 400))
    found = calibrate(logits, np.array([0, 1] * 200), accuracy=0.9)
    assert found.threshold == NEVER
    assert found.threshold_coverage == 0
