"""Decision endpoints against real servers: one that a test decides, and jevcompat's own mock."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from fastapi.responses import JSONResponse

from tests.decision_server import USAGE, decision_server, mock
from understudy.endpoint.asker import Reply, Usage
from understudy.endpoint.decisions.asker import DecisionAsker
from understudy.endpoint.decisions.forms import FLOOR, INSTRUCTIONS
from understudy.endpoint.errors import (
    EndpointError,
    MalformedError,
    RefusedError,
    TooManyLabelsError,
)
from understudy.endpoint.options import ClientOptions, WireName
from understudy.graph.prompts import Prompt

LABELS = ("net", "games", "true")
MANY = tuple(f"label {number}" for number in range(300))
PROMPT = Prompt("Categories: …", "a text about nets")
WIRES: tuple[WireName, ...] = ("decisions", "systemone")
TOLD = {"net": 0.7, "games": 0.2, "true": 0.1}
TWICE = [{"value": name, "probability": 0.4} for name in ("net", "games", "net")]
HUGE = {"net": 1.5e308, "games": 1.5e308}  # whose sum is no number


def ask(
    url: str,
    wire: WireName,
    labels: Sequence[str] = LABELS,
    descriptions: Mapping[str, str] | None = None,
    **changes: Any,
) -> Reply:
    async def asked() -> Reply:
        asker = DecisionAsker(ClientOptions(url, "mock", wire=wire, **changes), descriptions)
        try:
            return await asker.ask(PROMPT, labels)
        finally:
            await asker.close()

    return asyncio.run(asked())


def softmax(weights: Mapping[str, float], labels: Sequence[str]) -> dict[str, float]:
    values = np.exp([weights[label] for label in labels])
    return dict(zip(labels, (values / values.sum()).tolist(), strict=True))


@pytest.mark.parametrize("wire", WIRES)
def test_one_call_tells_every_labels_probability(wire: WireName) -> None:
    with decision_server(lambda text, labels: TOLD) as server:
        reply = ask(server.url, wire, key="secret", descriptions={"games": "played by two"})
    assert (reply.label, reply.text) == (0, "net")
    assert reply.log_probabilities is not None
    np.testing.assert_allclose(np.exp(reply.log_probabilities), [0.7, 0.2, 0.1])
    assert reply.usage == Usage(1, 100, 2)
    assert server.authorizations == ["Bearer secret"]
    (request,) = server.requests
    if wire == "decisions":
        (question,) = request["questions"]
        assert request["input"] == PROMPT.description
        assert question["choices"][1] == {"value": "games", "description": "played by two"}
        assert question["choices"][2] == {"value": "true"}
    else:
        (question,) = request["questions"].values()
        assert request["state"] == PROMPT.description
        assert question["criteria"] == {"net": None, "games": "played by two", "true": None}
    assert question["instructions"] == INSTRUCTIONS
    assert "net;" not in question["instructions"]


@pytest.mark.parametrize("wire", WIRES)
def test_rounded_probabilities_are_made_whole(
    wire: WireName, caplog: pytest.LogCaptureFixture
) -> None:
    with decision_server(lambda text, labels: {"net": 0.98, "games": 0.03}) as server:
        reply = ask(server.url, wire)
    assert reply.log_probabilities is not None
    probabilities = np.exp(reply.log_probabilities)
    assert probabilities.sum() == pytest.approx(1)
    np.testing.assert_allclose(probabilities, [0.98 / 1.01, 0.03 / 1.01, FLOOR], rtol=1e-4)
    assert not caplog.records
    caplog.set_level(logging.WARNING)
    with decision_server(lambda text, labels: dict.fromkeys(labels, 0.5)) as server:
        reply = ask(server.url, wire)
    assert "sum to 1.50; they are divided by their sum" in caplog.text
    np.testing.assert_allclose(np.exp(reply.log_probabilities or ()), 1 / 3)


@pytest.mark.parametrize("wire", WIRES)
def test_many_labels_take_two_calls_and_come_out_as_of_one(wire: WireName) -> None:
    generator = np.random.default_rng(0)
    weights = dict(zip(MANY, generator.normal(scale=1.5, size=len(MANY)).tolist(), strict=True))
    with decision_server(lambda text, labels: softmax(weights, labels)) as server:
        reply = ask(server.url, wire, MANY)
    assert [len(request["questions"]) for request in server.requests] == [2, 1]
    assert reply.usage == Usage(2, 200, 4)
    assert reply.log_probabilities is not None
    expected = np.array(list(softmax(weights, MANY).values()))
    assert reply.label == expected.argmax()
    np.testing.assert_allclose(np.exp(reply.log_probabilities), expected, rtol=0.02, atol=2e-5)


def test_a_refused_question_names_no_label() -> None:
    with decision_server(lambda text, labels: None) as server:
        reply = ask(server.url, "decisions")
    assert (reply.label, reply.log_probabilities, reply.usage.input_tokens) == (None, None, 100)
    with decision_server(
        lambda t, labels: None if MANY[0] in labels else {MANY[-1]: 1.0}
    ) as server:
        assert ask(server.url, "decisions", MANY).label is None
        assert len(server.requests) == 1  # the second round has nothing to go by
    evenly = dict.fromkeys(MANY, 1 / len(MANY))
    with decision_server(
        lambda t, labels: softmax(evenly, labels) if len(server.requests) == 1 else None
    ) as server:
        reply = ask(server.url, "decisions", MANY)
        assert (reply.label, reply.log_probabilities) == (None, None)
        assert reply.usage.requests == len(server.requests) == 2


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("decisions", {"weather": "fair"}),
        ("decisions", {"answers": [], "usage": USAGE}),
        ("decisions", {"answers": [{"type": "choice", "probabilities": []}]}),
        (
            "decisions",
            {"answers": [{"type": "choice", "probabilities": [{"value": "x", "probability": 1}]}]},
        ),
        ("decisions", {"answers": [{"type": "choice", "probabilities": TWICE}]}),
        ("decisions", {"answers": [{"type": "predicate", "probability": 0.5}]}),
        ("systemone", {"answers": {"category_1": {"type": "choice", "probabilities": HUGE}}}),
        ("systemone", {"answers": {}}),
        ("systemone", {"answers": {"category_1": {"type": "choice", "probabilities": {"Net": 1}}}}),
        (
            "systemone",
            {
                "answers": {
                    "category_1": {"type": "choice", "probabilities": {"net": -1, "true": 2}}
                }
            },
        ),
    ],
)
def test_what_is_no_answer_to_the_question_is_told(wire: WireName, value: Any) -> None:
    with decision_server(lambda text, labels: TOLD) as server:
        server.answer = JSONResponse(value)
        with pytest.raises(MalformedError):
            ask(server.url, wire)


def test_usage_is_not_needed() -> None:
    answers = {"category_1": {"type": "choice", "probabilities": TOLD}}
    with decision_server(lambda text, labels: TOLD) as server:
        for usage in (
            {},
            {"usage": None},
            {"usage": "much"},
            {"usage": {"input_tokens": 3.0}},
            {"usage": {"input_tokens": -3}},
        ):
            server.answer = JSONResponse({"answers": answers, **usage})
            assert ask(server.url, "systemone").usage.input_tokens in (0, 3)


def test_more_labels_than_two_rounds_tell_are_refused_before_anything_is_sent() -> None:
    message = "300 labels are more than two rounds of 16"
    with (
        decision_server(lambda text, labels: TOLD) as server,
        pytest.raises(TooManyLabelsError, match=message),
    ):
        ask(server.url, "decisions", MANY, most_choices=16)
    assert not server.requests


def test_an_askers_form_is_all_that_its_answers_depend_on() -> None:
    def form(wire: WireName, url: str = "http://a/v1", most: int = 255, **descriptions: str) -> str:
        return DecisionAsker(
            ClientOptions(url, "m", wire=wire, most_choices=most), descriptions
        ).form

    assert form("decisions") == form("decisions", "http://b/v1")
    described = form("decisions", net="a line")
    assert len({form("decisions"), form("systemone"), described}) == 3
    assert form("decisions") != form("decisions", most=64)


def test_the_reference_server_answers_in_one_round_and_in_two() -> None:
    """Its options weigh each by itself, so two rounds are one."""
    labels = MANY[:60]
    with mock("--key", "secret") as url:
        once = ask(url, "systemone", labels, key="secret")
        twice = ask(url, "systemone", labels, key="secret", most_choices=40)
        assert once.log_probabilities is not None
        assert twice.log_probabilities is not None
        np.testing.assert_allclose(twice.log_probabilities, once.log_probabilities, atol=1e-3)
        assert (once.usage.requests, twice.usage.requests) == (1, 2)
        assert once.usage.input_tokens > 0
        with pytest.raises(RefusedError, match=r"status 40[13]"):
            ask(url, "systemone", labels)


@pytest.mark.parametrize(
    "fault",
    ["choice-second", "choice-no-confidence", "confidence-margin", "no-usage", "choice-sum"],
)
def test_what_servers_differ_in_is_not_read(fault: str) -> None:
    with mock() as right, mock("--fault", fault) as wrong:
        expected, found = (ask(url, "systemone") for url in (right, wrong))
    assert found.label == expected.label
    if fault != "choice-sum":  # whose probabilities are others
        assert found.log_probabilities == pytest.approx(expected.log_probabilities)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("choice-key-case", "not those of the labels"),
        ("xssi-200", "not have the form of a decision endpoint"),
        ("wrong-route", "refused with status 404"),
        ("cap-64", "refused with status 422"),
    ],
)
def test_what_breaks_the_specification_is_told(fault: str, problem: str) -> None:
    labels = tuple(name.upper() for name in MANY[:70])
    with mock("--fault", fault) as url, pytest.raises(EndpointError, match=problem):
        ask(url, "systemone", labels)
