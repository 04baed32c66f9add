"""Requests from inside the process: another protocol in front of the same application.

They pass the gateway like any other request, so that ids, guards, keys, rates, limits, deadlines,
metrics, traces and errors are the same without a second implementation.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message

from service.http.exchange import FAILURE, JSON_BYTES
from understudy.engine.errors import EngineError

HOST = b"localhost"  # always accepted


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[bytes, bytes]
    content: bytes


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    client: tuple[str, int] | None = None,
    failure: EngineError | None = None,
) -> Answer:
    """Sends a request to the application and returns its whole answer.

    Cancelling the call counts as the client leaving.

    Args:
        path: percent-encoded.
        headers: in addition to the host and, with a body, the media type JSON.
        client: address of the caller, for limits by address.
        failure: an error to answer with, if the request is refused before anything of it is read.
    """
    own = [(b"host", HOST), *headers]
    if body:
        own.append((b"content-type", JSON_BYTES))
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("ascii"),
        "query_string": b"",
        "root_path": "",
        "headers": own,
        "client": client,
        "server": None,
    }
    if failure is not None:
        scope[FAILURE] = failure
    coming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        if coming:
            return coming.pop()
        return await asyncio.Future()  # waits until it is cancelled with the request

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        raise ConnectionError("the application did not answer")
    start, *parts = sent
    content = b"".join(part.get("body", b"") for part in parts)
    return Answer(start["status"], dict(start["headers"]), content)
