"""One entry an operation: from it come the route, the needed role and the OpenAPI document."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct
from starlette.types import Receive, Scope, Send

from service.answers import send_json
from service.bodies import decode, read_body
from service.exchange import SCOPE_KEY, Exchange
from service.messages import encode
from service.roles import Role


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an operation; `body` is of the operation's request type."""

    body: Any
    parameters: Mapping[str, str]  # from the path
    headers: list[tuple[bytes, bytes]]
    query: bytes
    exchange: Exchange

    def header(self, name: bytes) -> str | None:
        for header, value in self.headers:
            if header == name:
                return value.decode("latin-1")
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    body: Struct
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200


@dataclass(frozen=True, slots=True)
class Examples:
    """A request that really can be sent, and its answer; either may be missing."""

    request: Struct | None = None
    response: Struct | None = None
    parameters: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Operation:
    """What can be asked of the service."""

    name: str
    method: str
    path: str
    role: Role
    tag: str
    summary: str
    handle: Callable[[Call], Awaitable[Answer]]
    response: type[Struct]
    request: type[Struct] | None = None
    description: str = ""
    statuses: tuple[int, ...] = ()  # of errors, besides those that any request can meet
    success: int = 200
    examples: Callable[[], Examples] = Examples
    headers: Mapping[str, str] | None = None  # of the request: name → description


class Endpoint:
    """Runs an operation straight on ASGI; what it raises is the gateway's to answer."""

    def __init__(self, operation: Operation) -> None:
        self.name = operation.name
        self.handle = operation.handle
        kind = operation.request
        self.decoder = None if kind is None else msgspec.json.Decoder(kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        exchange.operation = self.name
        decoder = self.decoder
        body = None if decoder is None else decode(decoder, await read_body(receive))
        parameters = scope.get("path_params") or {}
        call = Call(body, parameters, scope["headers"], scope.get("query_string", b""), exchange)
        answer = await self.handle(call)
        await send_json(send, answer.status, encode(answer.body), answer.headers)
