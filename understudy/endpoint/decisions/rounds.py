"""Handles more labels than one question may have options: two rounds, joined into one distribution.

In the first round, every label is an option of one of several questions in a single request. The
best labels of each then compete in a final question. Its probabilities for a question's finalists
are extended to that question's other labels, in the proportions of the first round. That is exact
if the odds of two options do not depend on the others (Luce's choice axiom: options are weighed
separately and normalised), and otherwise errs only in the share of the losers.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_FINALISTS = 16  # per first question: more cost tokens, and hardly ever contain the answer

Labels = NDArray[np.int64]
Shares = NDArray[np.float64]


def first_questions(classes: int, most: int) -> list[Labels]:
    """Splits all labels evenly into the fewest questions of at most `most` options each."""
    return np.array_split(np.arange(classes), math.ceil(classes / most))


def finalists(questions: Sequence[Labels], shares: Sequence[Shares], most: int) -> list[Labels]:
    """The most probable labels of every first question, ascending, as many as one question allows.

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
        final: float64, the probabilities of the finalists, question by question
    """
    result: Shares = np.zeros(sum(map(len, questions)))
    start = 0
    for labels, own, chosen in zip(questions, shares, best, strict=True):
        own_final = final[start : start + len(chosen)]
        start += len(chosen)
        among = np.isin(labels, chosen)
        result[labels] = own * (own_final.sum() / own[among].sum())
        result[chosen] = own_final
    result /= result.sum()
    return result
