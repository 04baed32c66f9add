"""The outermost ASGI layer, called directly."""

import asyncio
import logging
from collections.abc import Iterable

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.bodies import SerialExecutor
from service.http.exchange import read_body
from service.http.gateway import Gateway
from service.telemetry.metrics import Metrics
from understudy.engine.errors import ChangeUnsureError, EngineError, JournalFailedError

Headers = list[tuple[bytes, bytes]]


def drive(app: ASGIApp, incoming: Iterable[Message], headers: Headers) -> list[Message]:
    """What the gateway around `app` sends for one request."""
    messages, sent = iter(incoming), []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), *headers]
    scope: Scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers}
    gateway = Gateway(
        app,
        max_body_bytes=10,
        direct={("POST", "/x"): app},
        metrics=Metrics(),
        executor=SerialExecutor(),
    )
    asyncio.run(gateway(scope, receive, send))
    return sent


def part(body: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    body = await read_body(receive)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    "parts", [[part(b"abcdef")], [part(b"abc", True), part(b"", True), part(b"def")]]
)
def test_a_body_comes_whole(parts: list[Message]) -> None:
    assert drive(echo, parts, [])[1]["body"] == b"abcdef"


@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        ([part(b"x" * 11)], []),
        ([part(b"x" * 6, True), part(b"x" * 6)], []),
        ([], [(b"content-length", b"11")]),
    ],
)
def test_too_many_bytes_are_refused(parts: list[Message], headers: Headers) -> None:
    assert drive(echo, parts, headers)[0]["status"] == 413


def test_a_client_that_leaves_is_not_answered_and_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = drive(echo, [part(b"abc", True), {"type": "http.disconnect"}], [])
    assert (sent, caplog.records) == ([], [])


@pytest.mark.parametrize("kind", [JournalFailedError, ChangeUnsureError])
def test_what_keeps_changes_from_being_made_is_logged(
    caplog: pytest.LogCaptureFixture, kind: type[EngineError]
) -> None:
    """A client may try again for hours, and nobody who could make room would know."""

    async def fail(_: Scope, __: Receive, ___: Send) -> None:
        raise kind("the disk is full")

    sent = drive(fail, [], [])
    assert sent[0]["status"] == 503
    (record,) = caplog.records
    assert (record.levelname, "the disk is full" in record.getMessage()) == ("WARNING", True)


def test_an_error_after_the_answer_began_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    with caplog.at_level(logging.ERROR):
        sent = drive(fail, [], [])
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert "late" in caplog.text
