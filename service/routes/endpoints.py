"""Operations straight on ASGI; what they raise is the gateway's to answer."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from service.aside import LARGE_BYTES, Aside
from service.http.io import (
    COMPRESSED_FROM,
    JSON_BYTES,
    SCOPE_KEY,
    Exchange,
    compress,
    read_body,
    send_answer,
    wanted_encoding,
)
from service.messages import encode
from service.routes.operations import Call, Headers, Operation, header_of
from service.routes.readers import item_reader, whole_reader


class Endpoint:
    """Runs an operation."""

    def __init__(self, operation: Operation, aside: Aside) -> None:
        self.name = operation.name
        self.handle = operation.handle
        self.aside = aside
        kind = operation.request
        self.read = self.read_large = operation.read
        if kind is not None and operation.read is None:
            self.read, self.read_large = whole_reader(kind), item_reader(kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[SCOPE_KEY]
        exchange.operation = self.name
        headers: Headers = scope["headers"]
        body = None
        if self.read is not None and self.read_large is not None:
            content = await read_body(receive)
            size = exchange.size = len(content)
            if size <= LARGE_BYTES:
                body = self.read(content, headers)
            else:
                body = await self.aside.run(self.read_large, content, headers)
        parameters = scope.get("path_params") or {}
        query = scope.get("query_string", b"")
        answer = await self.handle(Call(body, parameters, headers, query, exchange))
        if answer.content is None:
            told, kind = encode(answer.body), JSON_BYTES
        else:
            told, kind = answer.content, answer.content_type
        own = answer.headers
        if len(told) >= COMPRESSED_FROM:
            told, added = await self.compressed(told, headers)
            own += added
        await send_answer(send, answer.status, told, own, kind)

    async def compressed(
        self, content: bytes, headers: Headers
    ) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        """A large answer as the client can read it, and what says so."""
        vary = (b"vary", b"accept-encoding")
        encoding = wanted_encoding(header_of(headers, b"accept-encoding") or "")
        if encoding is None:
            return content, (vary,)
        if len(content) > LARGE_BYTES:
            content = await self.aside.run(compress, content, encoding)
        else:
            content = compress(content, encoding)
        return content, (vary, (b"content-encoding", encoding.encode()))


class PathEndpoint:
    """All operations of one path, by their methods."""

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        self.endpoints = dict(endpoints)
        if "GET" in endpoints:
            self.endpoints["HEAD"] = endpoints["GET"]
        self.allowed = ", ".join(sorted(self.endpoints))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.endpoints.get(scope["method"])
        if endpoint is None:
            raise HTTPException(405, headers={"allow": self.allowed})
        await endpoint(scope, receive, send)
