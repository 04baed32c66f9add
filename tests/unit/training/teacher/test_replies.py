"""Reading what an endpoint says."""

import numpy as np
import pytest

from training.teacher.replies import CERTAINTY, find_label, parse_reply

NAMES = ("sound", "sound and light", "net", "c++", "Rule_Learning")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("sound", 0),
        ("Sound and Light.", 1),
        ("  **net**\n\nbecause it talks to others", 2),
        ("The category is: C++", 3),
        ("rule learning", 4),
        ("sound or net", None),
        ("internet", None),
        ("", None),
    ],
)
def test_the_one_label_that_an_answer_names(text: str, label: int | None) -> None:
    assert find_label(text, NAMES) == label


def test_without_probabilities_the_named_label_is_nearly_certain() -> None:
    reply = parse_reply({"message": {"content": "net"}}, NAMES)
    assert reply.log_probabilities is not None
    probabilities = np.exp(reply.log_probabilities)
    assert probabilities[2] == pytest.approx(CERTAINTY)
    assert probabilities.sum() == pytest.approx(1)


def test_alternatives_are_given_to_the_labels_that_they_start() -> None:
    told = {" so": 0.6, "net": 0.3, "zebra": 0.1}
    top = [{"token": token, "logprob": float(np.log(p))} for token, p in told.items()]
    logprobs = {"content": [{"token": " so", "top_logprobs": top}]}
    reply = parse_reply({"message": {"content": "sound and light"}, "logprobs": logprobs}, NAMES)
    assert reply.log_probabilities is not None
    probabilities = np.exp(reply.log_probabilities)
    assert probabilities[1] == pytest.approx(0.6 / 0.9, abs=1e-3)
    assert probabilities[2] == pytest.approx(0.3 / 0.9, abs=1e-3)
    assert probabilities[0] < 0.01


def test_an_unreadable_answer_has_no_distribution() -> None:
    assert parse_reply({"message": {"content": None}}, NAMES).log_probabilities is None
