"""The probabilities that a teacher tells beside its label."""

from collections.abc import Mapping, Sequence

SCORE_SUM_TOLERANCE = 0.01


def problem_of_scores(
    scores: Mapping[str, float], label: str, label_names: Sequence[str]
) -> str | None:
    """What is wrong with the probabilities of the labels; None if nothing is."""
    if scores.keys() != set(label_names):
        return "the probabilities are not those of the labels"
    if not all(0 <= score <= 1 for score in scores.values()):  # NaN is neither
        return "a probability is not between 0 and 1"
    if abs(sum(scores.values()) - 1) > SCORE_SUM_TOLERANCE:
        return "the probabilities do not sum to 1"
    if scores[label] < max(scores.values()) - SCORE_SUM_TOLERANCE:
        return "another label than the named one is more probable"
    return None
