"""Checks the probabilities that a teacher gives with its label."""

from collections.abc import Mapping, Sequence

SCORE_SUM_TOLERANCE = 0.01


def problem_of_scores(
    scores: Mapping[str, float], label: str, label_names: Sequence[str]
) -> str | None:
    """The problem with the labels' probabilities, or None."""
    if scores.keys() != set(label_names):
        return "the probabilities are not those of the labels"
    if not all(0 <= score <= 1 for score in scores.values()):  # False for NaN
        return "a probability is not between 0 and 1"
    if abs(sum(scores.values()) - 1) > SCORE_SUM_TOLERANCE:
        return "the probabilities do not sum to 1"
    if scores[label] < max(scores.values()) - SCORE_SUM_TOLERANCE:
        return "another label than the named one is more probable"
    return None
