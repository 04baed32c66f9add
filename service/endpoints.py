"""Operations straight on ASGI; what they raise is the gateway's to answer."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from service.answers import JSON, send_answer
from service.aside import LARGE_BYTES, Aside
from service.bodies import read_body
from service.compression import COMPRESSED_FROM, compress, wanted_encoding
from service.exchange import SCOPE_KEY, Exchange
from service.messages import encode
from service.operations import Answer, Call, Headers, Operation, header_of
from service.readers import item_reader, whole_reader

JSON_TYPE = (b"content-type", JSON.encode())


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
        body, size = None, 0
        if self.read is not None and self.read_large is not None:
            content = await read_body(receive)
            size = len(content)
            if size <= LARGE_BYTES:
                body = self.read(content, headers)
            else:
                body = await self.aside.run(self.read_large, content, headers)
        parameters = scope.get("path_params") or {}
        query = scope.get("query_string", b"")
        answer = await self.handle(Call(body, parameters, headers, query, exchange, size))
        await self.send(answer, headers, send)

    async def send(self, answer: Answer, headers: Headers, send: Send) -> None:
        if answer.content is None:
            content, own = encode(answer.body), (JSON_TYPE, *answer.headers)
        else:
            content, own = answer.content, answer.headers
        if len(content) >= COMPRESSED_FROM:
            encoding = wanted_encoding(header_of(headers, b"accept-encoding") or "")
            own = (*own, (b"vary", b"accept-encoding"))
            if encoding is not None:
                large = len(content) > LARGE_BYTES
                work = (compress, content, encoding)
                content = await self.aside.run(*work) if large else compress(content, encoding)
                own = (*own, (b"content-encoding", encoding.encode()))
        await send_answer(send, answer.status, content, own)


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
