"""A server that gives invalid answers: each becomes an error of its question."""

import asyncio
import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from service.errors import TeacherError
from service.teacher.client import Opinion, endpoint_teacher
from tests.openai_server import OpenAIServer, openai_server
from understudy.endpoint.options import ClientOptions
from understudy.graph.prompts import Prompt

LABELS = ("net", "games")
COMPLETION = json.dumps({"choices": [{"message": {"content": "games"}}]}).encode()


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with openai_server(lambda _: "games") as running:
        yield running


def ask(server: OpenAIServer, seconds: float = 20.0, **options: Any) -> Opinion:
    async def asked() -> Opinion:
        known = ClientOptions(server.url, "model", "s3cret", constraint="json_schema", exact=True)
        teacher = endpoint_teacher(replace(known, timeout_seconds=seconds, **options))
        try:
            return await teacher.ask(Prompt("Categories", "a text"), LABELS)
        finally:
            await teacher.close()

    return asyncio.run(asked())


def test_a_good_answer_of_any_content_type_is_read(server: OpenAIServer) -> None:
    server.headers = {"content-type": "text/html"}
    assert ask(server) == Opinion("games")


@pytest.mark.parametrize(
    ("status", "headers", "body", "of_question"),
    [
        (200, {}, b"\xff\xfe", False),
        (200, {"content-type": "text/html"}, b"<html></html>", False),
        (200, {}, b" " * 2_000_000 + COMPLETION, False),
        (200, {"content-encoding": "gzip"}, gzip.compress(b" " * 50_000_000), False),
        (200, {"content-encoding": "br"}, COMPLETION, False),
        (200, {"content-length": "10000"}, COMPLETION, False),  # and then it hangs up
        (201, {}, COMPLETION, False),
        (204, {}, b"", False),
        (307, {"location": "/v1/chat/completions"}, b"", False),
        (301, {"location": "https://elsewhere.example/"}, b"", False),
        (400, {}, b'{"error": {"message": "too long"}}', True),
        (413, {}, b"", True),
        (422, {}, b"[" * 100_000, True),
        (401, {}, b"", False),
        (404, {}, b"", False),
        (429, {"retry-after": "1"}, b"", False),
        (500, {}, b"\xff" * 100_000, False),
        (503, {}, b"", False),
    ],
)
def test_a_bad_answer_is_an_error_of_the_question(
    server: OpenAIServer, status: int, headers: dict[str, str], body: bytes, of_question: bool
) -> None:
    server.status, server.headers, server.body = status, headers, body
    with pytest.raises(TeacherError) as caught:
        ask(server, seconds=5)
    assert caught.value.of_question == of_question
    assert len(server.requests) == 1  # a redirect is not followed: neither key nor text goes on
    assert "s3cret" not in f"{caught.value} {caught.value.reason}"


def test_an_answer_that_trickles_has_no_more_time_than_another(server: OpenAIServer) -> None:
    server.trickle = 0.05  # far below any time-out of one read, for two seconds and more
    for status in (200, 500):
        server.status = status
        started = time.monotonic()
        with pytest.raises(TeacherError, match=r"^the teacher did not answer in time$"):
            ask(server, seconds=0.5)
        assert time.monotonic() - started < 10


def test_a_server_that_is_not_there_is_an_error(server: OpenAIServer) -> None:
    server.close()
    with pytest.raises(TeacherError, match="cannot be reached"):
        ask(server)
