"""Temperatures and thresholds on distributions whose answer is known."""

import numpy as np
import pytest
from scipy.special import softmax

from training.calibration import NEVER, calibrate, fit_temperature


def test_the_temperature_that_logits_were_multiplied_by_is_found() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 4)) * 2
    labels = np.array([generator.choice(4, p=row) for row in softmax(logits, axis=1)])
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.05)
    assert fit_temperature(3 * logits, labels) == pytest.approx(3, abs=0.15)


def test_the_threshold_keeps_what_reaches_the_wanted_accuracy() -> None:
    confidence = np.array([0.99, 0.9, 0.8, 0.7, 0.6])
    logits = np.log(np.stack([confidence, 1 - confidence], axis=1))
    labels = np.array([0, 0, 0, 1, 1])  # right, right, right, wrong, wrong
    found = calibrate(logits, labels, accuracy=0.75)
    assert found.threshold_accuracy == 0.75
    assert found.threshold_coverage == 0.8
    kept = softmax(logits / found.temperature, axis=1).max(axis=1) >= found.threshold
    assert kept.tolist() == [True, True, True, True, False]
    assert found.risk_coverage[0] == (0.2, 0.0)
    assert found.risk_coverage[-1] == pytest.approx((1.0, 0.4))


def test_equal_confidences_stay_together() -> None:
    logits = np.log(np.array([[0.9, 0.1]] * 4))
    found = calibrate(logits, np.array([0, 0, 1, 1]), accuracy=0.9)
    assert found.threshold == NEVER
    assert found.threshold_coverage == 0
