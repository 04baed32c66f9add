"""Chat completions whose answer is constrained to labels."""

import json
from math import exp
from typing import Any

import pytest

from service.compatible.choices import Shares
from service.compatible.completions import read_completion
from tests.bundles import LABELS, TinyBundle
from tests.upstream_server import Ask, UpstreamServer
from understudy.engine.requests import probabilities

OPTIONS = ["games", "net"]
COLUMNS = [LABELS.index(option) for option in OPTIONS]
NODE = '{"node": {"id": "node-3"}}'


def schema_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    }


ENUM = {"type": "string", "enum": OPTIONS}
OBJECT = {"type": "object", "properties": {"the label": ENUM}, "required": ["the label"]}
REFERRING = {"$defs": {"L": ENUM}, "properties": {"label": {"$ref": "#/$defs/L"}}}


def chat(ask: Ask, *messages: dict[str, Any], settings: Any = None, **fields: Any) -> Any:
    sent = list(messages) or [{"role": "user", "content": NODE}]
    body = {"model": "gpt", "messages": sent, **fields}
    return ask("/v1/chat/completions", body, **(settings or {}))


@pytest.mark.parametrize(
    ("constraint", "frame"),
    [
        ({"structured_outputs": {"choice": OPTIONS}}, "{}"),
        ({"guided_choice": OPTIONS}, "{}"),
        (schema_of(ENUM), '"{}"'),
        (schema_of(OBJECT), '{{"the label":"{}"}}'),
        (schema_of(REFERRING), '{{"label":"{}"}}'),
        ({"structured_outputs": {"json": OBJECT}}, '{{"the label":"{}"}}'),
    ],
)
def test_the_answer_is_in_the_form_that_it_is_held_to_with_the_labels_probabilities(
    ask: Ask, tiny_bundle: TinyBundle, constraint: dict[str, Any], frame: str
) -> None:
    answer = chat(ask, logprobs=True, top_logprobs=5, **constraint)
    assert answer.headers["x-understudy-route"] == "student"
    (choice,) = answer.json()["choices"]
    found = probabilities(tiny_bundle.logits[[3]], 2.0)[0][COLUMNS]
    expected = dict(zip(OPTIONS, (found / found.sum()).tolist(), strict=True))
    best = max(expected, key=lambda option: expected[option])
    assert choice["message"] == {
        "content": frame.format(best),
        "role": "assistant",
        "refusal": None,
    }
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    (label,) = [token for token in tokens if token["top_logprobs"]]
    by_token = {entry["token"]: exp(entry["logprob"]) for entry in label["top_logprobs"]}
    assert by_token == pytest.approx(expected, abs=1e-5)
    assert all(bytes(token["bytes"]).decode() == token["token"] for token in tokens)


def test_the_answer_goes_before_an_option_whose_probability_is_the_same_when_rounded() -> None:
    body = {
        "model": "gpt",
        "messages": [{"role": "user", "content": NODE}],
        "guided_choice": OPTIONS,
        "logprobs": True,
        "top_logprobs": 1,
    }
    asked = read_completion(json.dumps(body).encode(), {})
    answer = json.loads(asked.answer_body("tiny", {0: Shares(1, 0.0, [0.5, 0.5])}, None))
    (token,) = answer["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in token["top_logprobs"]] == [OPTIONS[1]]


def test_probabilities_are_told_only_where_they_are_asked_for(ask: Ask) -> None:
    answer = chat(ask, guided_choice=OPTIONS)
    assert answer.json()["choices"][0]["logprobs"] is None
    assert answer.json()["object"] == "chat.completion"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "exactly one list"),
        ({"guided_choice": ["yes", "no"]}, "the student answers only choices"),
        ({"guided_choice": OPTIONS, "n": 2}, "`n` asks"),
        ({"guided_choice": OPTIONS, "stream": True}, "`stream` is set"),
        ({"guided_choice": OPTIONS, "tools": [{"type": "function"}]}, "`tools` are given"),
        ({"guided_choice": OPTIONS, **schema_of(ENUM)}, "exactly one list"),
        ({"guided_choice": [1, 2]}, "exactly one list"),
        ({"structured_outputs": {"regex": "net|games"}}, "exactly one list"),
        ({"response_format": {"type": "json_object"}}, "exactly one list"),
        (schema_of({"properties": {"a": ENUM, "b": ENUM}}), "exactly one list"),
        (schema_of({"properties": {"a": {"$ref": "#/$defs/missing"}}}), "exactly one list"),
        (schema_of({"properties": {"a": {"type": "integer"}}}), "exactly one list"),
    ],
)
def test_any_other_chat_goes_upstream_or_is_an_error(
    ask: Ask, upstream: UpstreamServer, fields: dict[str, Any], reason: str
) -> None:
    answer = chat(ask, **fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no_upstream")
    assert reason in answer.json()["error"]["message"]
    answer = chat(ask, settings={"upstream_url": upstream.url}, **fields)
    assert answer.headers["x-understudy-route"] == "upstream"
    assert upstream.paths == ["/v1/chat/completions"]
    sent = {"model": "gpt", "messages": [{"role": "user", "content": NODE}], **fields}
    assert json.loads(upstream.bodies[0]) == sent


USER = {"role": "user", "content": NODE}


@pytest.mark.parametrize(
    ("messages", "own"),
    [
        ([{"role": "system", "content": "Be brief."}, USER], True),
        ([{"role": "user", "content": [{"type": "text", "text": NODE}]}], True),
        ([USER, {"role": "assistant", "content": "net"}, USER], False),
        ([USER, USER], False),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]}], False),
        ([{"role": "system", "content": "Be brief."}], False),
    ],
)
def test_the_one_message_of_a_user_is_the_node(
    ask: Ask, messages: list[dict[str, Any]], own: bool
) -> None:
    answer = chat(ask, *messages, guided_choice=OPTIONS)
    assert answer.status_code == (200 if own else 400)
