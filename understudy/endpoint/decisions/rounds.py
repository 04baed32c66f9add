"""More labels than one question may have options: two rounds, joined into one distribution.

First every label is an option of one of several questions, which one request holds. The best of
each then meet in a last question. What that says of a question's best gives its other labels their
share, in the proportion that the first round found between them. That is exact where the odds of
two options do not depend on which others are there (Luce's choice axiom: whatever weighs each
option by itself and divides by the sum), and else errs only in what all losers share.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_FINALISTS = 16  # of each first question: more cost tokens, and hardly ever hold the answer

Labels = NDArray[np.int64]
Shares = NDArray[np.float64]


def first_questions(classes: int, most: int) -> list[Labels]:
    """All labels, in as few questions of nearly equal size as `most` options each allow."""
    return np.array_split(np.arange(classes), math.ceil(classes / most))


def finalists(questions: Sequence[Labels], shares: Sequence[Shares], most: int) -> list[Labels]:
    """The most probable labels of every first question, rising, as many as one question takes.

    Shapes:
        shares: float64, the probabilities of each question's labels
    """
    count = min(most // len(questions), MOST_FINALISTS)
    return [
        np.sort(labels[np.argsort(-own, kind="stable")[:count]])
        for labels, own in zip(questions, shares, strict=True)
    ]


def joined(
    questions: Sequence[Labels], shares: Sequence[Shares], best: Sequence[Labels], final: Shares
) -> Shares:
    """The probabilities of all labels, float64 [C].

    Shapes:
        final: float64, the probabilities of the finalists, one question's after another's
    """
    result: Shares = np.zeros(sum(map(len, questions)))
    start = 0
    for labels, own, chosen in zip(questions, shares, best, strict=True):
        told = final[start : start + len(chosen)]
        start += len(chosen)
        among = np.isin(labels, chosen)
        result[labels] = own * (told.sum() / own[among].sum())
        result[chosen] = told
    result /= result.sum()
    return result
