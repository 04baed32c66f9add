"""The weights of a loss's terms, checked before anything costs time; without torch."""

import math
from collections.abc import Collection, Mapping

from training.config import LABELS
from training.errors import TrainingError


def with_labels(weights: Mapping[str, float]) -> Mapping[str, float]:
    """The weights, with that of the labels, 1, where they say nothing about it."""
    return {LABELS: 1.0, **weights}


def check_weights(weights: Mapping[str, float], known: Collection[str]) -> None:
    """Refuses what is no loss.

    Raises:
        TrainingError: an unknown objective, a weight that is negative or no number, or none that
            is positive.
    """
    for name, weight in weights.items():
        if name not in known:
            raise TrainingError(f"unknown objective {name!r}; choose from {', '.join(known)}")
        if not (math.isfinite(weight) and weight >= 0):
            raise TrainingError(f"the weight of {name!r} must be a number of at least 0: {weight}")
    if not any(weights.values()):
        raise TrainingError(
            "no objective has a weight above 0; give one to cross_entropy, or leave it out"
        )
