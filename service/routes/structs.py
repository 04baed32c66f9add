"""FastAPI routes whose handlers take and give msgspec structs, which the document shows as such."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, get_type_hints

from fastapi import Request, params
from fastapi.routing import APIRoute
from msgspec import Struct
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.aside import LARGE_BYTES, Aside
from service.http.errors import INFERENCE_PATH
from service.http.io import (
    COMPRESSED_FROM,
    JSON,
    JSON_BYTES,
    SCOPE_KEY,
    Exchange,
    compress,
    read_body,
    send_answer,
    wanted_encoding,
)
from service.messages import ErrorBody, InferenceErrorBody, encode
from service.routes.readers import Read, item_reader, whole_reader

REFERENCE = "#/components/schemas/{name}"
MEANINGS = {
    400: "The body is not JSON, or the path is badly encoded.",
    401: "No key, or an unknown one.",
    403: "The key's role does not suffice, or a page of another site sends it.",
    404: "What is named is not there.",
    408: "The body did not come in time.",
    409: "It contradicts what is there.",
    413: "The body has too many bytes.",
    415: "The body does not say that it is JSON, or is compressed in an unknown way.",
    421: "The request is for another host.",
    422: "A field is missing, unknown, of a wrong type or beyond a limit; it is named.",
    424: "The teacher failed.",
    429: "Too much at once; see the header `retry-after`.",
    500: "Something went wrong here; the log has it under the request's id.",
    503: "The service cannot answer now; see the header `retry-after`.",
    504: "The answer did not come in time.",
}
ANY_REQUEST = (401, 403, 421, 429)  # where a key may be needed
ANY_PARAMETER = (400,)  # in the path
ANY_BODY = (400, 408, 413, 415, 422)


class Told(Response):
    """A struct, or bytes, as the answer; a large one is compressed where the client can read it.

    It has none of the headers that Starlette's own look for, so that it costs a look-up little.
    """

    def __init__(
        self,
        content: Struct | bytes,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        kind: bytes = JSON_BYTES,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.content = content if isinstance(content, bytes) else encode(content)
        self.kind = kind
        self.own_headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content, headers = self.content, self.own_headers
        if len(content) >= COMPRESSED_FROM:
            headers += ((b"vary", b"accept-encoding"),)
            accepted = scope[SCOPE_KEY].headers.get(b"accept-encoding", b"")
            encoding = wanted_encoding(accepted.decode("latin-1"))
            if encoding is not None:
                headers += ((b"content-encoding", encoding.encode()),)
                content = await compressed(content, encoding, scope["app"].state.parts.aside)
        await send_answer(send, self.status_code, content, headers, self.kind)


async def compressed(content: bytes, encoding: str, aside: Aside) -> bytes:
    if len(content) > LARGE_BYTES:
        return await aside.run(compress, content, encoding)
    return compress(content, encoding)


class JsonBody:
    """Reads a body as a struct; a large one off the event loop."""

    def __init__(self, kind: type[Struct], read: Read | None = None) -> None:
        """Prepares.

        Args:
            read: of a body that is not JSON alone.
        """
        self.kind = kind
        self.read = read or whole_reader(kind)
        self.read_large = read or item_reader(kind)

    async def __call__(self, request: Request) -> Any:
        exchange: Exchange = request.scope[SCOPE_KEY]
        return await self.take(exchange, request.receive, request.app.state.parts.aside)

    async def take(self, exchange: Exchange, receive: Receive, aside: Aside) -> Any:
        """The body as a struct.

        Raises:
            MalformedJsonError, InvalidFieldError: see `service.http.io.decode`.
        """
        content = await read_body(receive)
        exchange.size = len(content)
        if len(content) <= LARGE_BYTES:
            return self.read(content, exchange.headers)
        return await aside.run(self.read_large, content, exchange.headers)


class StructRoute(APIRoute):
    """A route whose body, answer and errors are structs.

    Attributes:
        structs: that its part of the document refers to.
    """

    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Any]], **options: Any) -> None:
        """Makes the route.

        Args:
            options: as FastAPI's. `response_model` is a struct, by default the one that the
                endpoint returns; of the statuses in `responses` the bodies are known.

        Raises:
            TypeError: no dependency says who may ask.
        """
        dependencies = options.get("dependencies")
        if not dependencies:
            raise TypeError(f"{path}: say who may ask, with READ, WRITE, ADMIN or ANYONE")
        hints = get_type_hints(endpoint, include_extras=True)
        answer = options.pop("response_model")
        if not isinstance(answer, type):
            answer = hints["return"]
        body = next((kind for hint in hints.values() if (kind := body_kind(hint))), None)
        error = InferenceErrorBody if path.startswith(INFERENCE_PATH) else ErrorBody
        self.structs = {kind for kind in (answer, body, error) if kind is not None}
        roles = [d.scopes[0] for d in dependencies if isinstance(d, params.Security) and d.scopes]
        statuses = {500, *(options.get("responses") or {})}
        statuses |= {*ANY_REQUEST} if roles else set()
        statuses |= {*ANY_PARAMETER} if "{" in path else set()
        statuses |= {*ANY_BODY} if body is not None else set()
        errors = {s: {"description": MEANINGS[s], "content": content_of(error)} for s in statuses}
        options |= {
            "response_model": None,
            "response_description": "Success.",
            "responses": {200: {"content": content_of(answer)}, **dict(sorted(errors.items()))},
            "description": described(options.get("description"), roles),
            "operation_id": options.get("name") or endpoint.__name__,
            "openapi_extra": asked_with(body, roles),
        }
        super().__init__(path, telling(endpoint), **options)


def described(description: str | None, roles: Sequence[str]) -> str:
    needed = f"\n\nNeeds a key of the role `{roles[0]}`, if any." if roles else ""
    return ((description or "") + needed).strip()


def asked_with(body: type[Struct] | None, roles: Sequence[str]) -> dict[str, Any]:
    """What FastAPI does not know of a request: its struct, and that there may be no keys."""
    extra: dict[str, Any] = {"security": [{}]} if roles else {}
    if body is not None:
        extra["requestBody"] = {"required": True, "content": content_of(body)}
    return extra


def telling(endpoint: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Response]]:
    """The endpoint with its struct as an answer."""

    @wraps(endpoint)
    async def tell(*arguments: Any, **named: Any) -> Response:
        answer = await endpoint(*arguments, **named)
        return answer if isinstance(answer, Response) else Told(answer)

    return tell


def body_kind(hint: Any) -> type[Struct] | None:
    """The struct of a parameter that is read from the body, or None."""
    for entry in getattr(hint, "__metadata__", ()):
        if isinstance(entry, params.Depends) and isinstance(entry.dependency, JsonBody):
            return entry.dependency.kind
    return None


def content_of(kind: type[Struct]) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}}
