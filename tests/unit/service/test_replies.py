"""What counts as a label, as a completion, and as probabilities."""

import json
from typing import Any

import pytest

from service.errors import TeacherError
from service.teacher.backend import Opinion
from service.teacher.completions import parse_completion
from service.teacher.refusals import SHOWN_CHARACTERS, refusal_reason
from service.teacher.replies import find_label
from understudy.graph.prompts import Prompt

LABELS = ("net", "games")


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("US", ("US", "us"), "US"),
        ("us", ("US", "us"), "us"),
        ("Us", ("US", "us"), None),
        ('"US"', ("us", "US"), "US"),
        ('{"category": "us"}', ("US", "us"), "us"),
        ("C", ("C", "C."), "C"),
        ("C.", ("C", "C."), "C."),
        ("c", ("C", "C."), "C"),
        ("c.", ("C", "C."), "C."),
        ("`C`", ("C", "C."), None),
        ("STRAẞE", ("STRASSE", "straße"), None),
        ("a  b\n", ("a b", "ab"), "a b"),
        ("**Net**.", LABELS, "net"),
        ("null", ("null", "net"), "null"),
        ('{"category": 5}', ("5", "net"), None),
        ("5", ("5", "net"), "5"),
        ('{"category": "net", "other": "games"}', LABELS, None),
        ("it is net", LABELS, None),
        ("", LABELS, None),
        ("[" * 100_000, LABELS, None),
        ('{"category": ' * 100, LABELS, None),
        ('"\\u006e\\u0065\\u0074"', LABELS, "net"),
        ("net" + " " * 2**20, LABELS, None),
    ],
)
def test_a_reply_names_one_label_or_none(
    text: str, names: tuple[str, ...], expected: str | None
) -> None:
    assert find_label(text, names) == expected


def completion(content: object, **fields: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}], **fields}).encode()


def test_a_completion_is_an_opinion() -> None:
    scores = {"net": 0.25, "games": 0.75}
    assert parse_completion(completion("games"), LABELS) == Opinion("games")
    assert parse_completion(completion("games", label_scores=None), LABELS) == Opinion("games")
    # What is not read may have any shape.
    odd = completion("Games", label_scores=scores, logprobs=[[{}]], usage="much", model=7)
    assert parse_completion(odd, LABELS) == Opinion("games", scores)


@pytest.mark.parametrize(
    "scores",
    [
        [0.5, 0.5],
        "high",
        {"net": 0.5},
        {"net": 0.1, "games": 0.9, "other": 0.0},
        {"net": -0.5, "games": 1.5},
        {"net": float("nan"), "games": 1.0},
        {"net": float("inf"), "games": 0.0},
        {"net": 0.5, "games": 0.6},
        {"net": True, "games": False},
        {"net": None, "games": 1.0},
        {"net": "0.1", "games": 0.9},
        {"net": 0.9, "games": 0.1},  # the answer says games
        {"net": 10**400, "games": 1.0},
    ],
)
def test_probabilities_that_make_no_sense_are_no_answer(scores: object) -> None:
    with pytest.raises(TeacherError):
        parse_completion(completion("games", label_scores=scores), LABELS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{}",
        b"<html>Bad gateway</html>",
        b'{"choices": [{"message": {"content": "\xff"}}]}',
        b'{"choices": [{"message": {"content": "\\ud800"}}]}',
        b'{"choices": []}',
        b'{"choices": {"0": {}}}',
        b'{"choices": [{"text": "games"}]}',
        completion(7),
        completion(None),
        completion(["games"]),
        b"[" * 100_000,
        b'{"x": ' + b"[" * 100_000,
        b'{"choices": [' + b"{" * 100_000,
        b'"' + b"x" * 1_000_000,
    ],
)
def test_what_is_no_completion_blames_the_server(content: bytes) -> None:
    with pytest.raises(TeacherError) as caught:
        parse_completion(content, LABELS)
    assert not caught.value.of_question


def test_an_answer_that_is_no_label_may_be_the_questions_fault() -> None:
    for content in ("[" * 100_000, "ignore the above", '{"category": 7}'):
        with pytest.raises(TeacherError) as caught:
            parse_completion(completion(content), LABELS)
        assert caught.value.of_question


PROMPT = Prompt("Categories: net; games", "Confidential merger of Äpfel und 東京支店\n- Titles too")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "no model of that name"}}, "no model of that name"),
        ({"error": "busy"}, "busy"),
        (
            {"detail": "Unexpected keys: {'response_format'}"},
            "Unexpected keys: {'response_format'}",
        ),
        ({"detail": [{"msg": "wrong", "input": "Confidential merger"}]}, None),
        ({"error": {"message": "cannot read CONFIDENTIAL\n東京 with key sk-Top5ecret"}}, None),
        ({"message": "x" * 10_000}, None),
        ("plain words", "plain words"),
    ],
)
def test_a_refusals_reason_tells_no_text_and_no_key(body: Any, expected: str | None) -> None:
    raw = body if isinstance(body, str) else json.dumps(body)
    reason = refusal_reason(raw.encode(), PROMPT, "sk-Top5ecret")
    if expected is not None:
        assert reason == expected
    for secret in ("confidential", "merger", "äpfel", "東京", "titles", "top5ecret"):
        assert secret not in reason.casefold()
    assert "\n" not in reason
    assert len(reason) <= SHOWN_CHARACTERS + 1


def test_a_refusal_without_words_has_no_reason() -> None:
    assert refusal_reason(b"", PROMPT, "") == ""
    assert "…" in refusal_reason(b"\xff Confidential \xff", PROMPT, "")
    assert refusal_reason(b"[" * 100_000, PROMPT, "").startswith("[")
