"""The labels' probabilities, read where the answered label begins; token lists are exact."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from understudy.endpoint.answers import nearly_certain, read_reply
from understudy.endpoint.asker import Reply
from understudy.endpoint.completions import read_completion
from understudy.endpoint.distribution import CERTAINTY

NAMES = ("Agents", "Theory", "Databases")
LIGHT = ("sound", "sound and light", "net")
Token = tuple[str, dict[str, float]]  # the answered one, and the alternatives' probabilities


def reply_to(
    tokens: Sequence[Token],
    names: Sequence[str] = NAMES,
    content: str | None = None,
    **message: Any,
) -> Reply:
    """What is read of an answer of these tokens; `content` where it is not all of them."""
    entries = [
        {
            "token": token,
            "logprob": float(np.log(top.get(token, 0.99))),
            "top_logprobs": [
                {"token": other, "logprob": float(np.log(value))} for other, value in top.items()
            ],
        }
        for token, top in tokens
    ]
    text = "".join(token for token, _ in tokens) if content is None else content
    choice = {"message": {"content": text, **message}, "logprobs": {"content": entries}}
    return read_reply(read_completion(json.dumps({"choices": [choice]}).encode()), names)


def probabilities(reply: Reply) -> list[float]:
    assert reply.log_probabilities is not None
    values = np.exp(reply.log_probabilities)
    assert values.sum() == pytest.approx(1)
    assert reply.label is not None
    assert values[reply.label] == values.max()
    return [round(float(value), 3) for value in values]


def sure(*tokens: str) -> list[Token]:
    return [(token, {token: 0.99}) for token in tokens]


@pytest.mark.parametrize(
    "tokens",
    [
        [("Agents", {"Agents": 0.6, "Theory": 0.4})],
        # "the" begins "Theory", and says nothing about it.
        [
            ("The", {"The": 0.9, "Agents": 0.1}),
            *sure(" category", " is"),
            (" Agents", {" Agents": 0.6, " Theory": 0.4}),
            *sure("."),
        ],
        [*sure("Category", ":"), (" Agents", {" Agents": 0.6, " Theory": 0.4})],
        [
            *sure("{", '"', "category", '":', ' "'),
            ("Agents", {"Agents": 0.6, "Theory": 0.4}),
            *sure('"}'),
        ],
        # The quote and the label's first letters are one token.
        [
            *sure('{"category":'),
            (' "Ag', {' "Ag': 0.6, ' "The': 0.4}),
            *sure("ents", '"}'),
        ],
        [
            ("**", {"**": 0.7, "Theory": 0.3}),
            ("Agents", {"Agents": 0.6, "Theory": 0.4}),
            *sure("**"),
        ],
        [
            *sure("<think>", "Theory", " or", " Agents", "?", "</think>", "\n\n"),
            ("Agents", {"Agents": 0.6, "Theory": 0.4}),
        ],
        # Other spellings of a label are the same label; what begins none is left out.
        [("Agents", {"Agents": 0.3, "agents": 0.15, " Agent": 0.03, "Theory": 0.32, "Hmm": 0.2})],
        [("Agents", {"Agents": 0.6, "Theory": 0.4}), ("<|im_end|>", {"<|im_end|>": 0.99})],
    ],
)
def test_the_label_is_read_whatever_stands_before_it(tokens: list[Token]) -> None:
    reply = reply_to(tokens)
    assert reply.label == 0
    assert probabilities(reply) == [0.6, 0.4, 0.0]


def test_thoughts_that_are_told_apart_may_be_among_the_tokens() -> None:
    tokens = [
        *sure("Agents", " seems", " wrong", "."),
        ("Theory", {"Agents": 0.2, "Theory": 0.8}),
    ]
    for name in ("reasoning_content", "reasoning"):
        message = {name: "Agents seems wrong."}
        assert probabilities(reply_to(tokens, content="Theory", **message)) == [0.2, 0.8, 0.0]


def test_labels_that_begin_alike_are_told_apart_at_the_next_token() -> None:
    ending = {"<|im_end|>": 0.25, " and": 0.75}
    longer = [("sound", {"sound": 0.8, "net": 0.2}), (" and", ending), *sure(" light")]
    assert probabilities(reply_to(longer, LIGHT)) == [0.2, 0.6, 0.2]
    shorter = [
        ("sound", {"sound": 0.8, "net": 0.2}),
        ("<|im_end|>", {"<|im_end|>": 0.75, " and": 0.25}),
    ]
    assert probabilities(reply_to(shorter, LIGHT, content="sound")) == [0.6, 0.2, 0.2]
    quoted = [
        *sure('{"category": "'),
        ("so", {"so": 0.5, "net": 0.5}),
        ("und", {"und": 0.9, "on": 0.1}),
        ('"}', {'"}': 0.6, " and": 0.4}),
    ]
    # 0.3, 0.2 and 0.5 by the tokens; the answered one has no less than another.
    assert probabilities(reply_to(quoted, LIGHT)) == [0.417, 0.167, 0.417]


def test_an_alternative_of_several_labels_is_the_answered_ones_or_shared() -> None:
    mixed = [("net", {"net": 0.5, "so": 0.3, "ne": 0.2})]
    assert probabilities(reply_to(mixed, LIGHT)) == [0.15, 0.15, 0.7]


def test_no_label_gets_more_than_the_answered_one() -> None:
    # By the tokens `net` is likelier than either of the two that share "so".
    tokens = [
        ("so", {"so": 0.52, "net": 0.48}),
        ("und", {"und": 0.99}),
        (" and", {"<|end|>": 0.5, " and": 0.5}),
        *sure(" light"),
    ]
    reply = reply_to(tokens, LIGHT)
    assert reply.label == 1
    assert probabilities(reply) == pytest.approx([0.213, 0.393, 0.393], abs=2e-3)
    # An answer that was held to the labels, against what the model would have said.
    held = [("Agents", {"I": 0.9, "Theory": 0.08}), *sure("<|im_end|>")]
    held[0][1]["Agents"] = 0.01
    assert probabilities(reply_to(held)) == [0.5, 0.5, 0.0]


def test_a_letter_that_is_cut_into_tokens_is_read_by_its_bytes() -> None:
    names = ("東京", "東北", "net")
    first, kyo, hoku = "東".encode(), "京".encode(), "北".encode()
    pieces = [(first[:2], {}), (first[2:], {}), (kyo, {kyo: 0.7, hoku: 0.3})]
    tokens = []
    for raw, top in pieces:
        entries = [
            {"token": "\ufffd", "bytes": list(other), "logprob": float(np.log(value))}
            for other, value in (top or {raw: 0.99}).items()
        ]
        tokens.append({**entries[0], "top_logprobs": entries})
    choice = {"message": {"content": "東京"}, "logprobs": {"content": tokens}}
    body = json.dumps({"choices": [choice]}).encode()
    assert probabilities(read_reply(read_completion(body), names)) == [0.7, 0.3, 0.0]


def test_without_alternatives_the_named_label_is_nearly_certain() -> None:
    body = json.dumps({"choices": [{"message": {"content": "The answer: Theory"}}]}).encode()
    reply = read_reply(read_completion(body), NAMES)
    assert reply.log_probabilities is None
    certain = nearly_certain(reply, len(NAMES))
    assert certain is not None
    assert np.exp(certain[1]) == pytest.approx(CERTAINTY)
    # Tokens that are not the answer's say nothing about it.
    strange = reply_to(sure("Zebra"), content="Theory")
    assert (strange.label, strange.log_probabilities) == (1, None)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("sound", 0),
        ("Sound and Light.", 1),
        ("  **net**\n\nbecause it talks to others", 2),
        ("Let me see.\nThe category is: C++", 3),
        ("It is net. It is not sound.", None),
        ("It is net.\nIt is not sound.", 2),
        ("rule learning", 4),
        ("sound or net", None),
        ("internet", None),
        ("non-net", None),
        ("net.core", None),
        ("c", None),
        ("<think>net", None),
        ("<think>net</think>sound", 0),
        ("net, I think</think>sound", 0),
        ('```json\n{"category": "net"}\n```', 2),
        ("", None),
    ],
)
def test_the_one_label_that_an_answer_names(text: str, label: int | None) -> None:
    names = ("sound", "sound and light", "net", "c++", "Rule_Learning")
    body = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
    assert read_reply(read_completion(body), names).label == label


def token_entry(token: str, top: Sequence[tuple[str, float | None]] | None) -> dict[str, Any]:
    """A token with its alternatives as given: twice, without a number, or with any."""
    entries = None if top is None else [{"token": t, "logprob": number} for t, number in top]
    return {"token": token, "logprob": None, "top_logprobs": entries}


def read_tokens(content: str, *tokens: dict[str, Any], names: Sequence[str] = NAMES) -> Reply:
    choice = {"message": {"content": content}, "logprobs": {"content": list(tokens)}}
    return read_reply(read_completion(json.dumps({"choices": [choice]}).encode()), names)


def test_tokens_of_the_same_letters_count_together_and_one_told_twice_once() -> None:
    half, third, rest = np.log([0.5, 0.3, 0.2]).tolist()
    several = [("Agents", half), ("Theory", rest), ("Agents", third)]
    assert probabilities(read_tokens("Agents", token_entry("Agents", several))) == [0.8, 0.2, 0.0]
    twice = [("Agents", half), ("Theory", half), ("Agents", half)]
    assert probabilities(read_tokens("Agents", token_entry("Agents", twice))) == [0.5, 0.5, 0.0]


def test_what_is_told_without_a_number_or_with_one_that_json_has_not_counts_as_nothing() -> None:
    half = float(np.log(0.5))
    for number in (None, -np.inf, np.nan, -1e308):
        reply = read_tokens("Agents", token_entry("Agents", [("Agents", half), ("Theory", number)]))
        assert probabilities(reply) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("numbers", [(7.5, 3.1), (0.9, 0.1), (0.0, 0.0)])
def test_scores_and_shares_in_the_place_of_logarithms_say_nothing(
    numbers: tuple[float, float],
) -> None:
    alternatives = list(zip(NAMES, numbers, strict=False))
    reply = read_tokens("Agents", token_entry("Agents", alternatives))
    assert (reply.label, reply.log_probabilities) == (0, None)


@pytest.mark.parametrize("accent", ["é", "\\u00e9"])
def test_labels_with_quotes_are_told_apart_where_json_escapes_them(accent: str) -> None:
    names = ('café "old"', 'café "new"', "café")
    tokens = [
        *sure('{"category": "', f"caf{accent}"),
        (' \\"', {' \\"': 0.8, '"}': 0.2}),
        ("old", {"old": 0.75, "new": 0.25}),
        *sure('\\"', '"}'),
    ]
    assert probabilities(reply_to(tokens, names)) == [0.6, 0.2, 0.2]
    short = [*tokens[:2], ('"}', {' \\"': 0.2, '"}': 0.8})]
    assert probabilities(reply_to(short, names)) == [0.1, 0.1, 0.8]
    quoted = ('say "hi"', 'say "ho"')
    bare = [*sure("say", ' "'), ("hi", {"hi": 0.9, "ho": 0.1}), *sure('"')]
    assert probabilities(reply_to(bare, quoted)) == [0.9, 0.1]
