"""Two rounds give the result of one question if weights are independent of the options."""

import numpy as np
import pytest

from understudy.endpoint.decisions.rounds import Shares, finalists, first_questions, joined


def softmax(logits: Shares) -> Shares:
    weights: Shares = np.exp(logits)
    weights /= weights.sum()
    return weights


@pytest.mark.parametrize(
    ("classes", "sizes"), [(255, [255]), (256, [128, 128]), (700, [234, 233, 233])]
)
def test_labels_are_asked_about_in_as_few_questions_as_they_fit(
    classes: int, sizes: list[int]
) -> None:
    questions = first_questions(classes, 255)
    assert list(map(len, questions)) == sizes
    assert np.concatenate(questions).tolist() == list(range(classes))


@pytest.mark.parametrize(("classes", "most"), [(300, 255), (700, 255), (100, 16), (4_200, 255)])
def test_two_rounds_give_what_one_question_would(classes: int, most: int) -> None:
    logits = np.random.default_rng(classes).normal(scale=3, size=classes)
    questions = first_questions(classes, most)
    answers = [softmax(logits[labels]) for labels in questions]
    best = finalists(questions, answers, most)
    last = np.concatenate(best)
    assert len(last) <= most
    assert logits.argmax() in last
    found = joined(questions, answers, best, softmax(logits[last]))
    np.testing.assert_allclose(found, softmax(logits), rtol=1e-9)
