"""/v1/decisions and /v1/systemone: the student's answers, and what it does not answer."""

from typing import Any

import numpy as np
import pytest

from service.http.access import Role, add_key
from service.http.bodies import LARGE_BYTES
from tests.bundles import LABELS, TinyBundle
from tests.upstream_server import Ask
from understudy.engine.requests import probabilities

OPTIONS = ["games", "net", "science"]
COLUMNS = [LABELS.index(option) for option in OPTIONS]
CHOICE = {"type": "choice", "instructions": "?", "choices": [{"value": o} for o in OPTIONS]}
PREDICATE = {"type": "predicate", "instructions": "Is it old?", "name": "old"}
SYSTEM_CHOICE = {"type": "choice", "instructions": "?", "criteria": dict.fromkeys(OPTIONS)}


def decide(ask: Ask, asked: Any, questions: Any = (CHOICE,), **more: Any) -> Any:
    return ask("/v1/decisions", {"model": "any", "input": asked, "questions": questions}, **more)


def system_one(ask: Ask, state: Any, questions: Any, **more: Any) -> Any:
    return ask("/v1/systemone", {"model": "any", "state": state, "questions": questions}, **more)


def user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def expected(bundle: TinyBundle, node: int) -> list[float]:
    found = probabilities(bundle.logits[[node]], 2.0)[0][COLUMNS]
    normalized: list[float] = (found / found.sum()).tolist()
    return normalized


def as_node(bundle: TinyBundle, node: int) -> dict[str, Any]:
    """A stored node as if it were unseen, whose answer is the same."""
    return {"text": bundle.text(node), "neighbors": bundle.neighbors(node)}


def test_a_choice_among_labels_is_the_students_however_the_node_is_named(
    ask: Ask, tiny_bundle: TinyBundle
) -> None:
    stored = {"node": {"id": "node-3"}}
    unseen = {"node": as_node(tiny_bundle, 3)}
    json_part = {"type": "input_json", "data": stored}
    for asked in (
        user(json_part),
        user({"type": "input_text", "text": "Which is it?"}, json_part),
        [{"role": "system", "content": "Be brief."}, *user(json_part)],
        user({"type": "input_text", "text": '{"node": {"id": "node-3"}}'}),
        user({"type": "input_json", "data": unseen}),
        '{"node": {"id": "node-3"}}',
    ):
        answer = decide(ask, asked)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-understudy-route"] == "student"
        (decision,) = answer.json()["answers"]
        found = {entry["value"]: entry["probability"] for entry in decision["probabilities"]}
        assert list(found) == OPTIONS
        assert list(found.values()) == pytest.approx(expected(tiny_bundle, 3), abs=1e-5)
        assert decision["choice"] == max(found, key=lambda value: found[value])
    for state in (stored, unseen, '{"node": {"id": "node-3"}}'):
        answer = system_one(ask, state, {"which one?": SYSTEM_CHOICE})
        assert answer.headers["x-understudy-route"] == "student"
        decision = answer.json()["answers"]["which one?"]
        assert decision["probabilities"] == pytest.approx(
            dict(zip(OPTIONS, expected(tiny_bundle, 3), strict=True)), abs=1e-5
        )


def test_a_plain_text_is_a_node_without_neighbors(ask: Ask, tiny_bundle: TinyBundle) -> None:
    alone = len(tiny_bundle.logits) - 1
    text = tiny_bundle.text(alone)
    for asked in (text, user({"type": "input_text", "text": text})):
        (decision,) = decide(ask, asked).json()["answers"]
        values = [entry["probability"] for entry in decision["probabilities"]]
        assert values == pytest.approx(expected(tiny_bundle, alone), abs=1e-5)


def test_what_is_not_the_students_is_refused_and_the_rest_is_answered(ask: Ask) -> None:
    other = {"type": "choice", "instructions": "?", "choices": [{"value": True}, {"value": "net"}]}
    answer = decide(ask, "http", [PREDICATE, CHOICE, {**other, "name": "typed"}])
    assert answer.status_code == 200
    assert answer.headers["x-understudy-route"] == "mixed"
    first, second, third = answer.json()["answers"]
    assert first == {"type": "refusal", "name": "old"}
    assert second["type"] == "choice"
    assert third == {"type": "refusal", "name": "typed"}
    answer = system_one(ask, "http", {"b": {"type": "noul"}, "a": SYSTEM_CHOICE})
    assert answer.headers["x-understudy-route"] == "mixed"
    assert answer.json()["answers"]["b"] == {"type": "refusal"}
    assert list(answer.json()["answers"]) == ["b", "a"]


@pytest.mark.parametrize(
    "asked",
    [
        user({"type": "input_image", "image_url": "https://a.test/b.png"}),
        user({"type": "input_json", "data": {"title": "http"}}),
        user({"type": "input_json", "data": {"node": {"id": "node-1"}}}) * 2,
        [{"role": "assistant", "content": "net"}, *user({"type": "input_text", "text": "http"})],
        [{"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}],
    ],
)
def test_an_input_that_is_no_node_is_refused(ask: Ask, asked: Any) -> None:
    answer = decide(ask, asked)
    assert answer.headers["x-understudy-route"] == "refused"
    assert answer.json()["answers"] == [{"type": "refusal", "name": None}]


@pytest.mark.parametrize("state", [["http", "socket"], {"title": "http"}])
def test_a_state_that_is_no_node_is_an_error(ask: Ask, state: Any) -> None:
    answer = system_one(ask, state, {"a": SYSTEM_CHOICE})
    assert answer.status_code == 400
    assert answer.json()["detail"]["error_type"] == "api_usage_error"
    assert "--upstream-url" in answer.json()["detail"]["message"]


def test_errors_are_in_the_form_of_their_wire(ask: Ask) -> None:
    unknown = {"node": {"id": "nobody"}}
    answer = decide(ask, user({"type": "input_json", "data": unknown}))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_node"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    answer = system_one(ask, unknown, {"a": SYSTEM_CHOICE})
    assert (answer.status_code, answer.json()["detail"]["error_type"]) == (404, "not_found")
    answer = decide(ask, user({"type": "input_json", "data": {"node": {"name": "a"}}}))
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "input.0.content.0.data.node.name"
    answer = system_one(ask, "http", {"a": SYSTEM_CHOICE, "b": {"type": "boolean"}})
    (violation,) = answer.json()["detail"]
    assert violation["loc"] == ["body", "questions", "b", "type"]
    answer = ask("/v1/systemone", b"{")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body"])
    assert ask("/v1/decisions", b"{").status_code == 400
    assert ask("/v1/nothing", {}).json()["error"]["code"] == "not_found"


def test_limits_of_the_wires(ask: Ask) -> None:
    def among(count: int) -> dict[str, Any]:
        return {**CHOICE, "choices": [{"value": f"queue {n}"} for n in range(count)]}

    assert decide(ask, "http", [among(255)] * 400).status_code == 200
    assert decide(ask, "http", [PREDICATE] * 401).json()["error"]["param"] == "questions"
    answer = decide(ask, "http", [PREDICATE, among(256)])
    assert answer.json()["error"]["param"] == "questions.1.choices"
    assert decide(ask, "http", [among(1)]).status_code == 422
    assert decide(ask, "http", []).status_code == 422
    criteria = dict.fromkeys(map(str, range(256)))
    answer = system_one(ask, "http", {"a": {"type": "choice", "criteria": criteria}})
    assert answer.status_code == 422
    body = {"model": "m", "input": "x" * 2_000, "questions": [CHOICE]}
    answer = ask("/v1/decisions", body, max_body_bytes=1_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_large_request_is_answered_like_a_small_one(ask: Ask, tiny_bundle: TinyBundle) -> None:
    long = {**CHOICE, "instructions": "?" * (LARGE_BYTES // 100)}
    answer = decide(ask, '{"node": {"id": "node-3"}}', [long, PREDICATE] * 100)
    answers = answer.json()["answers"]
    assert [entry["type"] for entry in answers] == ["choice", "refusal"] * 100
    shares = np.array(
        [[p["probability"] for p in entry["probabilities"]] for entry in answers[::2]]
    )
    assert np.abs(shares - expected(tiny_bundle, 3)).max() < 1e-5


def test_keys_and_rate_limits_hold_here_too(ask: Ask, tmp_path: Any) -> None:
    secret = add_key(tmp_path / "keys.json", "reader", Role.read)
    keys = {"keys_file": tmp_path / "keys.json"}
    answer = decide(ask, "http", **keys)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    answer = system_one(ask, "http", {"a": SYSTEM_CHOICE}, **keys)
    assert answer.json()["detail"]["error_type"] == "authentication_error"
    headers = {"authorization": f"Bearer {secret}"}
    assert decide(ask, "http", headers=headers, **keys).status_code == 200
