"""Questions that the student does not answer are forwarded to the upstream."""

import asyncio
import json
import logging
import socket
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

from service.compatible.upstream import Upstream, UpstreamOptions
from service.errors import OverloadedError, SettingsError
from service.settings import load_settings
from service.telemetry.metrics import Metrics
from tests.upstream_server import Ask, UpstreamServer

CHOICE = {"type": "choice", "instructions": "?", "choices": [{"value": "net"}, {"value": "games"}]}
PREDICATE = {"type": "predicate", "instructions": "Is it old?"}
OTHER = {"type": "choice", "instructions": "?", "choices": [{"value": "yes"}, {"value": "no"}]}
SYSTEM_CHOICE = {"type": "choice", "criteria": {"net": None, "games": None}}
KEY = "sk-upstream-secret"


def body_of(*questions: Any, asked: Any = "http socket", **more: Any) -> dict[str, Any]:
    return {"model": "gpt", "input": asked, "questions": list(questions), **more}


def test_a_foreign_request_goes_untouched_and_its_answer_comes_untouched(
    ask: Ask, upstream: UpstreamServer
) -> None:
    sent = json.dumps(body_of(PREDICATE, OTHER, prompt_cache_key="k"), indent=3).encode()
    headers = {"authorization": "Bearer sk-callers-own", "x-secret": "mine"}
    answer = ask("/v1/decisions", sent, headers, upstream_url=upstream.url, upstream_key=KEY)
    assert answer.status_code == 200
    assert answer.headers["x-understudy-route"] == "upstream"
    assert [entry["probability"] for entry in answer.json()["answers"]] == [0, 1]
    assert answer.json()["model"] == "big"
    assert upstream.bodies == [sent]
    assert upstream.paths == ["/v1/decisions"]
    (received,) = upstream.headers
    assert received["authorization"] == f"Bearer {KEY}"
    assert not {"x-secret", "x-request-id", "cookie"} & received.keys()


def test_without_a_key_for_it_no_key_is_sent(ask: Ask, upstream: UpstreamServer) -> None:
    headers = {"authorization": "Bearer sk-callers-own"}
    ask("/v1/decisions", body_of(PREDICATE), headers, upstream_url=upstream.url)
    assert "authorization" not in upstream.headers[0]


def test_questions_of_both_are_answered_in_their_order_with_one_call(
    ask: Ask, upstream: UpstreamServer
) -> None:
    settings = {"upstream_url": upstream.url, "upstream_model": "gpt-other"}
    answer = ask("/v1/decisions", body_of(PREDICATE, CHOICE, OTHER), **settings)
    assert answer.headers["x-understudy-route"] == "mixed"
    first, second, third = answer.json()["answers"]
    assert (first["probability"], third["probability"]) == (0, 1)
    assert second["choice"] in ("net", "games")
    assert answer.json()["usage"] == {"input_tokens": 7}
    (sent,) = map(json.loads, upstream.bodies)
    assert sent == body_of(PREDICATE, OTHER) | {"model": "gpt-other"}

    questions = {"b": {"type": "noul"}, "a": SYSTEM_CHOICE, "c.d": {"type": "noul"}}
    body = {"model": "jev-latest", "state": "http", "questions": questions}
    answer = ask("/v1/systemone", body, **settings)
    assert list(answer.json()["answers"]) == ["b", "a", "c.d"]
    assert answer.json()["answers"]["b"] == {"type": "noul", "noul": 0.5}
    assert list(json.loads(upstream.bodies[1])["questions"]) == ["b", "c.d"]


def test_a_question_of_the_student_alone_asks_nobody(ask: Ask, upstream: UpstreamServer) -> None:
    answer = ask("/v1/decisions", body_of(CHOICE), upstream_url=upstream.url)
    assert answer.headers["x-understudy-route"] == "student"
    assert upstream.bodies == []


def test_an_image_goes_upstream(ask: Ask, upstream: UpstreamServer) -> None:
    image = {"type": "input_image", "image_url": "https://a.test/b.png"}
    body = body_of(CHOICE, asked=[{"role": "user", "content": [image]}])
    answer = ask("/v1/decisions", body, upstream_url=upstream.url)
    assert answer.headers["x-understudy-route"] == "upstream"
    assert json.loads(upstream.bodies[0]) == body


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_what_auto_would_defer_goes_upstream_too(
    ask: Ask, upstream: UpstreamServer, threshold: float
) -> None:
    settings = {"upstream_url": upstream.url, "auto_threshold": threshold}
    answer = ask("/v1/decisions", body_of(CHOICE), upstream_route="auto", **settings)
    assert answer.headers["x-understudy-route"] == ("upstream" if threshold else "student")
    answer = ask("/v1/decisions", body_of(CHOICE), **settings)
    assert answer.headers["x-understudy-route"] == "student"


@pytest.mark.parametrize("questions", [[PREDICATE], [PREDICATE, CHOICE]])
def test_a_refusal_of_the_upstream_is_passed_on(
    ask: Ask, upstream: UpstreamServer, questions: Any
) -> None:
    refusal = {"error": {"message": f"slow down, {KEY}", "type": "rate_limit_error"}}
    upstream.answer = JSONResponse(refusal, 429, {"retry-after": "7", "set-cookie": "a=b"})
    settings = {"upstream_url": upstream.url, "upstream_key": KEY}
    answer = ask("/v1/decisions", body_of(*questions), **settings)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert "set-cookie" not in answer.headers
    assert answer.json()["error"]["message"] == "slow down, ***"
    assert answer.headers["x-understudy-route"] == "upstream"


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"error": f"no such key: {KEY[:9]}"}, 401),
        RedirectResponse("http://127.0.0.1:9/v1/decisions", 307),
        PlainTextResponse("hello"),
        JSONResponse({"answers": [], "usage": {}}),
        JSONResponse({"answers": [1, 2, 3], "usage": {}}),
    ],
)
def test_an_answer_that_cannot_be_told_is_a_bad_gateway(
    ask: Ask, upstream: UpstreamServer, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.answer = answer
    settings = {"upstream_url": upstream.url, "upstream_key": KEY}
    response = ask("/v1/decisions", body_of(PREDICATE, CHOICE), **settings)
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_failed")
    assert response.json()["error"]["type"] == "api_error"
    assert KEY[:9] not in response.text + caplog.text


def test_an_upstream_that_is_away_or_late_is_a_bad_gateway(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with caplog.at_level(logging.WARNING):
            late = ask("/v1/decisions", body_of(PREDICATE), upstream_url=url, upstream_seconds=0.05)
    away = ask("/v1/systemone", system_body(), upstream_url=url)
    assert (late.status_code, late.json()["error"]["message"]) == (
        502,
        "the upstream did not answer in time",
    )
    assert away.status_code == 502
    assert away.json()["detail"]["message"] == (
        "upstream_failed: the upstream cannot be reached (ConnectError)"
    )
    assert "did not answer in time" in caplog.text


def system_body() -> dict[str, Any]:
    return {"model": "m", "state": "http", "questions": {"a": {"type": "noul"}}}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"upstream_url": "localhost:8001"}, "--upstream-url"),
        ({"upstream_url": "http://localhost:8001/v1", "upstream_key": "a\nb"}, "--upstream-key"),
        ({"upstream_route": "auto"}, "--upstream-url"),
    ],
)
def test_settings_that_reach_nobody_are_refused(flags: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(**flags)
    assert "a\nb" not in str(caught.value)


def test_no_more_wait_for_it_than_leave_connections_to_others() -> None:
    async def ask(url: str) -> None:
        upstream = Upstream(UpstreamOptions(url, requests=1), Metrics())
        waiting = asyncio.create_task(upstream.ask("/decisions", b"{}"))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="wait for the upstream"):
            await upstream.ask("/decisions", b"{}")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert upstream.waiting == 0
        await upstream.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(ask(f"http://127.0.0.1:{silent.getsockname()[1]}/v1"))
