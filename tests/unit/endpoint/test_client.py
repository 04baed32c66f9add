"""The client against real servers: what is sent, which form is taken, and what is waited for."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse

from tests.http_servers import serve
from tests.openai_server import openai_server
from training.teacher.endpoint import EndpointOptions
from understudy.endpoint.asker import Reply
from understudy.endpoint.client import ChatClient
from understudy.endpoint.errors import AddressError, EndpointError, RefusedError
from understudy.endpoint.options import ClientOptions, check_address
from understudy.endpoint.question import constraint_fields, request_body
from understudy.graph.prompts import Prompt

LABELS = ("net", "games")
PROMPT = Prompt("Categories: net; games", "a text")
Answer = Callable[[dict[str, Any]], Any]


class Server:
    """A real server with scripted answers; keeps requests and their headers."""

    def __init__(self) -> None:
        self.answer: Answer = lambda body: said("net")
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> Any:
            self.requests.append(await request.json())
            self.headers.append(dict(request.headers))
            return self.answer(self.requests[-1])

        url, self.stop = serve(app)
        self.url = f"{url}/v1"

    def ask(self, count: int = 1, **options: Any) -> list[Reply]:
        return asyncio.run(ask_all(ClientOptions(self.url, "a-model", **options), count))


async def ask_all(options: ClientOptions, count: int) -> list[Reply]:
    client = ChatClient(options)
    try:
        asked = [client.ask(Prompt("Categories", f"text {n}"), LABELS) for n in range(count)]
        return await asyncio.gather(*asked)
    finally:
        await client.close()


def said(content: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 3}}


def held(body: dict[str, Any]) -> dict[str, Any]:
    return said('{"category": "net"}' if "response_format" in body else "net")


def unknown(body: dict[str, Any], *fields: str, status: int = 400) -> JSONResponse | None:
    """The refusal of a server that does not know some fields."""
    found = [name for name in fields if name in body]
    message = {"error": {"message": f"Unknown parameter: {found}"}}
    return JSONResponse(message, status) if found else None


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def server(running: Server) -> Server:
    running.requests.clear()
    running.headers.clear()
    running.answer = lambda body: said("net")
    return running


def test_only_the_key_and_what_http_needs_is_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-secret: of another")
    for key, sent in (("s3cret", "Bearer s3cret"), ("", None)):
        server.ask(key=key)
        headers = server.headers[-1]
        assert headers.get("authorization") == sent
        assert headers["accept-encoding"] == "identity"
        assert "another" not in str(headers)
        assert not [name for name in headers if name.startswith("x-")]
    assert "s3cret" not in repr(ClientOptions(server.url, "a-model", "s3cret"))


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with openai_server(lambda _: "games") as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        (reply,) = asyncio.run(ask_all(ClientOptions("http://host.invalid/v1", "a-model"), 1))
        assert reply.label == 1
        assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    ("unknown_fields", "taken", "message"),
    [
        ((), "response_format", "JSON schema"),
        (("response_format",), "structured_outputs", "structured outputs"),
        (("response_format", "structured_outputs"), "grammar", "grammar"),
        (("response_format", "structured_outputs", "grammar"), None, "supports no constraint"),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_the_first_constraint_that_a_server_takes_is_kept_and_told_once(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    unknown_fields: Sequence[str],
    taken: str | None,
    message: str,
    status: int,
) -> None:
    server.answer = lambda body: unknown(body, *unknown_fields, status=status) or held(body)
    with caplog.at_level(logging.INFO, "understudy"):
        replies = server.ask(count=4)
    assert [reply.label for reply in replies] == [0] * 4
    assert len(server.requests) == 4 + len(unknown_fields)
    assert sum(reply.usage.requests for reply in replies) == len(server.requests)
    every = {"response_format", "structured_outputs", "grammar"}
    for body in server.requests[-4:]:
        assert body.keys() & every == ({taken} if taken else set())
    assert len(caplog.messages) == 1
    assert message in caplog.messages[0]


def test_a_constraint_names_every_label(server: Server) -> None:
    server.ask(constraint="choice")
    assert server.requests[-1]["structured_outputs"] == {"choice": list(LABELS)}
    server.ask(constraint="grammar")
    assert server.requests[-1]["grammar"] == 'root ::= "net" | "games"'
    server.ask(constraint="json_schema")
    schema = server.requests[-1]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["category"]["enum"] == list(LABELS)


def test_a_constraint_that_is_taken_and_ignored_is_told_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "understudy"):
        replies = server.ask(count=3)
    assert [reply.label for reply in replies] == [0, 0, 0]
    warnings = [line for line in caplog.messages if line.endswith("json_schema but ignores it")]
    assert len(warnings) == 1


def test_a_question_that_is_refused_later_is_no_unknown_constraint(server: Server) -> None:
    def answer(body: dict[str, Any]) -> Any:
        long = "text 1" in body["messages"][0]["content"]
        return JSONResponse({"error": "too long"}, 400) if long else said("net")

    server.answer = answer
    with pytest.raises(RefusedError) as caught:
        server.ask(count=2)
    assert caught.value.of_question
    assert len(server.requests) == 2


def test_a_constraint_that_was_asked_for_is_never_dropped(server: Server) -> None:
    server.answer = lambda body: unknown(body, "structured_outputs")
    with pytest.raises(RefusedError, match="refused with status 400"):
        server.ask(constraint="choice")
    assert len(server.requests) == 1


def thinking(body: dict[str, Any], off: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What a model answers that thinks for a thousand tokens, unless it is told not to."""
    if off(body):
        return said("games")
    if body.get("max_tokens", 0) < 1_000:
        return said(None, finish="length", reasoning_content="Let me see. net?")
    return said("<think>net? No.</think>\n\ngames")


@pytest.mark.parametrize(
    ("off", "requests", "field", "message"),
    [
        (lambda b: "chat_template_kwargs" in b, 2, "chat_template_kwargs", "the chat template"),
        (lambda b: "reasoning_effort" in b, 3, "reasoning_effort", "reasoning_effort"),
        (lambda b: False, 4, None, "takes time"),
    ],
)
def test_thinking_is_switched_off_or_waited_for(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    off: Callable[[dict[str, Any]], bool],
    requests: int,
    field: str | None,
    message: str,
) -> None:
    server.answer = lambda body: thinking(body, off)
    with caplog.at_level(logging.INFO, "understudy"):
        replies = server.ask(count=3)
    assert [reply.label for reply in replies] == [1, 1, 1]
    assert len(server.requests) == requests + 2
    assert field is None or field in server.requests[-1]
    assert message in caplog.messages[-1]


def test_how_thinking_is_met_can_be_said(server: Server) -> None:
    server.answer = lambda body: thinking(body, lambda b: "chat_template_kwargs" in b)
    (reply,) = server.ask(thinking="none")
    assert (reply.label, reply.cut, reply.text) == (None, True, "")
    (reply,) = server.ask(thinking="wait", thinking_tokens=2_000)
    assert (reply.label, reply.text) == (1, "\n\ngames")
    (reply,) = server.ask(thinking="template")
    assert reply.label == 1
    tokens = [body["max_tokens"] for body in server.requests]
    assert tokens == [tokens[0], tokens[0] + 2_000, tokens[0]]


def test_a_server_that_knows_no_switch_is_waited_for(server: Server) -> None:
    def answer(body: dict[str, Any]) -> Any:
        refused = unknown(body, "chat_template_kwargs", "reasoning_effort")
        return refused or thinking(body, lambda _: False)

    server.answer = answer
    (reply,) = server.ask()
    assert (reply.label, reply.usage.requests, reply.usage.output_tokens) == (1, 4, 6)


def test_alternatives_are_asked_for_and_read(server: Server) -> None:
    top = [
        {"token": name, "logprob": float(np.log(p))} for name, p in (("net", 0.3), ("games", 0.6))
    ]
    tokens = [{"token": "games", "logprob": float(np.log(0.6)), "top_logprobs": top}]
    answer = said("games")
    answer["choices"][0]["logprobs"] = {"content": tokens}
    server.answer = lambda body: answer
    (reply,) = server.ask(top=20)
    assert (server.requests[0]["logprobs"], server.requests[0]["top_logprobs"]) == (True, 20)
    np.testing.assert_allclose(np.exp(reply.log_probabilities or ()), [1 / 3, 2 / 3], atol=1e-6)
    server.ask()
    assert "logprobs" not in server.requests[1]


@pytest.mark.parametrize("header", ["7", "7.5", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_how_long_to_wait_is_told(server: Server, header: str) -> None:
    server.answer = lambda body: JSONResponse({}, 429, {"retry-after": header})
    with pytest.raises(EndpointError) as caught:
        server.ask()
    assert caught.value.passing
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 7


@pytest.mark.parametrize("header", ["nan", "inf", "soon", "", "Fri, 31 Feb 2025 00:00:00 GMT"])
def test_what_is_no_time_to_wait_is_passed_over(server: Server, header: str) -> None:
    server.answer = lambda body: JSONResponse({}, 429, {"retry-after": header})
    with pytest.raises(EndpointError) as caught:
        server.ask()
    assert caught.value.passing
    assert caught.value.retry_after is None


@pytest.mark.parametrize("url", ["foo", "http://", "http://[::1", "ftp://host/v1", "http://a b/v1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        check_address(url, "")
    assert caught.value.part == "url"
    check_address("http://host:8000/v1", "")


@pytest.mark.parametrize(
    "url", ["http://h/v1/chat/completions", "http://h/decisions/", "http://h/v1?a=b", "http://h/#m"]
)
def test_an_address_to_which_no_route_can_be_added_is_refused(url: str) -> None:
    with pytest.raises(AddressError, match="the URL of a route, or has a query") as caught:
        check_address(url, "")
    assert caught.value.part == "url"


def test_labels_of_any_letters_are_asked_for_in_these_and_have_room() -> None:
    names = ('🎮 "games"', "東京", "net")
    fields = constraint_fields("grammar", names)
    assert fields == {"grammar": 'root ::= "🎮 \\"games\\"" | "東京" | "net"'}
    body = request_body(PROMPT, names, ClientOptions("http://a/v1", "m"), "json_schema", "none")
    assert body["max_tokens"] >= len(json.dumps({"category": names[0]}))  # were each letter a token


def test_an_address_that_sends_on_says_where(server: Server) -> None:
    elsewhere = "https://models.example/v1/chat/completions"
    server.answer = lambda body: RedirectResponse(elsewhere, 308)
    with pytest.raises(RefusedError) as refused:
        server.ask()
    assert (refused.value.status, refused.value.reason) == (308, f"it redirects to {elsewhere}")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"error": {"message": "no model is free", "code": 429}}, 429, "no model is free"),
        ({"error": {"message": "it broke", "code": "server_error"}}, 500, "it broke"),
        ({"error": "it broke", "choices": []}, 500, "it broke"),
    ],
)
def test_a_failure_that_is_sent_as_an_answer_is_one_and_says_why(
    server: Server, body: dict[str, Any], status: int, reason: str
) -> None:
    server.answer = lambda _: body
    with pytest.raises(RefusedError) as refused:
        server.ask()
    assert (refused.value.status, refused.value.reason) == (status, reason)
    assert refused.value.passing  # it is asked again later


def test_an_answer_that_names_no_error_is_one(server: Server) -> None:
    server.answer = lambda _: said("net") | {"error": None}
    assert [reply.label for reply in server.ask()] == [0]


def test_words_of_the_text_are_left_out_of_a_refusal_only_where_it_is_private(
    server: Server,
) -> None:
    server.answer = lambda _: JSONResponse({"error": {"message": "this text is too long"}}, 413)
    for private, reason in ((True, "this … is too long"), (False, "this text is too long")):
        with pytest.raises(RefusedError) as refused:
            server.ask(private=private)
        assert refused.value.reason == reason
    assert not EndpointOptions(server.url, "a-model").client.private  # who teaches has the texts
