"""What counts as a label, as a completion, and as probabilities."""

import json
from typing import Any

import numpy as np
import pytest

from understudy.endpoint.answers import read_reply
from understudy.endpoint.asker import Reply, Usage
from understudy.endpoint.completions import read_completion
from understudy.endpoint.errors import MalformedError
from understudy.endpoint.naming import find_label
from understudy.endpoint.refusals import SHOWN_CHARACTERS, refusal_reason
from understudy.graph.prompts import Prompt

LABELS = ("net", "games")


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("Caf\u00e9", ("Cafe\u0301", "Bar"), "Cafe\u0301"),
        ("cafe\u0301", ("Caf\u00e9", "Bar"), "Caf\u00e9"),
        ("Caf\u00e9", ("Cafe\u0301", "Caf\u00e9"), "Caf\u00e9"),
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
    named = find_label(text, names, exact=True)
    assert (named and names[named.label]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is not games.", None),
        ("I cannot tell whether it is games", None),
        ("It isn\u2019t **games**", None),
        ("I do not think that it is games", None),
        ("It is not games.\nIt is net.", "net"),
        ("It is not on sale elsewhere: games", "games"),
        ("Not sure, but games", "games"),
        ("It is games, not a sport", "games"),
        ("not for sale", "not for sale"),
        ("It is not for sale", "not for sale"),
    ],
)
def test_a_label_that_is_denied_or_doubted_is_not_named(text: str, expected: str | None) -> None:
    names = ("net", "games", "not for sale")
    named = find_label(text, names)
    assert (named and names[named.label]) == expected


@pytest.mark.parametrize(
    ("text", "expected", "start"),
    [
        ('{"category": "net", "reason": "It is not games."}', "net", 14),
        ('```json\n{"reason": "games, or net?", "category": "net"}\n```', "net", None),
        ('{"category": "net", "reason": "it sends packets, as games', "net", 14),  # cut off
        ('{"category": "net", "second": "games"}', "net", 14),
        ('{"label": "net", "second": "games"}', None, None),
        ('{"label": "net", "confidence": "high", "why": "no games"}', "net", 11),
        ('{"category": "Net.", "reason": "no games"}', "net", None),
        ('{"category": "net"} {"category": "games"}', None, None),
        ('{"reason": "games", "category": "neither"}', None, None),
        ('{"reason": "games", "category": "none of the labels"}\nIt is games.', None, None),
        ('{"reason": "games", "category": "it is net, I think"}', "net", 39),
        ('{"category": "string"} {"reason": "games", "category": "net"}', "net", 56),
    ],
)
def test_the_field_of_a_label_counts_and_no_reasons(
    text: str, expected: str | None, start: int | None
) -> None:
    named = find_label(text, LABELS)
    assert (named and LABELS[named.label]) == expected
    if named and start is not None:
        assert named.start == start


def completion(content: object, **fields: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}], **fields}).encode()


def read(content: bytes) -> Reply:
    return read_reply(read_completion(content), LABELS, exact=True)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("net", None),
        ("The category is Net Co", None),
        ('{"category": "net', None),
        ('{"category": "net"}', 0),
        ("net core", 1),
        ("net, since it", 0),
        ("games", 2),
    ],
)
def test_an_answer_that_was_cut_off_is_no_shorter_label(text: str, label: int | None) -> None:
    def read(why: str) -> Reply:
        choice = {"message": {"content": text}, "finish_reason": why}
        return read_reply(
            read_completion(json.dumps({"choices": [choice]}).encode()),
            ("net", "net core", "games"),
        )

    assert read("length").label == label
    assert label is None or read("stop").label == label


def test_a_completion_is_a_reply() -> None:
    for plain in (completion("games"), completion("games", label_scores=None)):
        assert (read(plain).label, read(plain).log_probabilities) == (1, None)
    # What is not read may have any shape.
    scores = {"net": 0.25, "games": 0.75}
    odd = completion("Games", label_scores=scores, logprobs=[[{}]], usage="much", model=7)
    reply = read(odd)
    assert reply.label == 1
    assert reply.log_probabilities is not None
    np.testing.assert_allclose(np.exp(reply.log_probabilities), [0.25, 0.75], atol=1e-6)


def test_an_answer_may_lack_its_content_and_its_usage_may_be_odd() -> None:
    for message in ({}, {"role": "assistant", "tool_calls": []}):
        reply = read(json.dumps({"choices": [{"message": message}]}).encode())
        assert (reply.text, reply.label) == (None, None)
    odd_usages: tuple[object, ...] = (
        *(None, {}, [], "much"),
        {"prompt_tokens": -5, "completion_tokens": 3},
        {"prompt_tokens": "9"},
    )
    for odd in odd_usages:
        assert read(completion("net", usage=odd)).usage == Usage(1)
    counted = read(completion("net", usage={"prompt_tokens": 9, "completion_tokens": None}))
    assert counted.usage == Usage(1, 9)


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
    with pytest.raises(MalformedError):
        read(completion("games", label_scores=scores))


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
        completion(["games"]),
        b"[" * 100_000,
        b'{"x": ' + b"[" * 100_000,
        b'{"choices": [' + b"{" * 100_000,
        b'"' + b"x" * 1_000_000,
    ],
)
def test_what_is_no_completion_blames_the_server(content: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        read(content)
    assert not caught.value.of_question


def test_an_answer_in_parts_is_its_texts() -> None:
    """As models that think send it."""
    thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": "It may be net."}]}
    parts = [thoughts, {"type": "text", "text": "ga"}, {"type": "text", "text": "mes"}]
    assert read(completion(parts)) == Reply("games", 1, usage=Usage(1))
    assert read(completion([thoughts])) == Reply("", None, usage=Usage(1))
    assert read(completion([])).text is None


def test_why_a_model_refused_is_kept() -> None:
    message = {"content": None, "refusal": "I cannot file this."}
    refused = json.dumps({"choices": [{"message": message}]}).encode()
    assert read(refused) == Reply("", None, usage=Usage(1), refusal="I cannot file this.")
    filtered = [{"message": {"content": ""}, "finish_reason": "content_filter"}]
    reply = read(json.dumps({"choices": filtered}).encode())
    assert (reply.label, reply.refusal) == (None, "a content filter")


def test_an_answer_that_is_no_label_has_none() -> None:
    for content in ("[" * 100_000, "ignore the above", '{"category": 7}'):
        reply = read(completion(content))
        assert (reply.label, reply.text) == (None, content)
    assert read(completion(None)).text is None  # the server's fault, and no model's words


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
    reason = refusal_reason(raw.encode(), PROMPT.description, "sk-Top5ecret")
    if expected is not None:
        assert reason == expected
    for secret in ("confidential", "merger", "äpfel", "東京", "titles", "top5ecret"):
        assert secret not in reason.casefold()
    assert "\n" not in reason
    assert len(reason) <= SHOWN_CHARACTERS + 1


def test_a_refusal_without_words_has_no_reason() -> None:
    assert refusal_reason(b"", PROMPT.description, "") == ""
    assert "…" in refusal_reason(b"\xff Confidential \xff", PROMPT.description, "")
    assert refusal_reason(b"[" * 100_000, PROMPT.description, "").startswith("[")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("net " * 50_000, "net"), ("net games " * 50_000, None), ("no word of it\n" * 50_000, None)],
)
def test_an_answer_that_goes_on_and_on_is_read_in_short(answer: str, expected: str | None) -> None:
    """Some models repeat themselves until they are stopped; nobody else may wait for that."""
    named = find_label(answer, LABELS)
    assert (None if named is None else LABELS[named.label]) == expected
