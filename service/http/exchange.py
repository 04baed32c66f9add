"""One request and its response: reads, decodes, counts, encodes and sends."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from random import getrandbits
from time import perf_counter
from typing import Any, TypeVar

import msgspec
from fastapi import Request
from msgspec import Struct
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.errors import (
    AccessError,
    BodyTooLargeError,
    InvalidFieldError,
    MalformedJsonError,
)
from service.http.bodies import (
    COMPRESSED_FROM,
    LARGE_BYTES,
    Inflater,
    SerialExecutor,
    compress,
    wanted_encoding,
)
from service.http.decoding_errors import invalid_field, why_unread
from service.http.outlines import outline_of, struct_items
from service.messages import encode

REQUEST_ID = b"x-request-id"
MIN_VERSION = b"x-min-graph-version"
TIMEOUT = b"x-timeout-seconds"
IDEMPOTENCY_KEY = b"idempotency-key"
VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
SCOPE_KEY = "understudy.exchange"
FAILURE = "understudy.failure"  # an error found by the protocol, maybe after the request began
KEEPS_ALIVE = "understudy.keeps_alive"  # the connection stays open although it is HTTP/1.0
UNNAMED = "other"
NO_BODIES = (b"", b"{}", b"null")
Body = TypeVar("Body")
JSON = "application/json"
JSON_BYTES = JSON.encode()
Headers = Mapping[bytes, bytes]
# Makes a struct of the body and the request's headers.
Read = Callable[[bytes, Headers], Any]


class Exchange:
    """Limits the body, records the answer's status and adds the common headers.

    Args:
        limit: maximum bytes of the body.
        executor: thread for reading and compressing large bodies.
    """

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, limit: int, executor: SerialExecutor
    ) -> None:
        self.started, self.executor = perf_counter(), executor
        self.scope = scope
        self.receive_message, self.send_message = receive, send
        self.limit = limit
        self.operation = UNNAMED
        self.refusal: AccessError | None = None  # raised unless the route is open to everyone
        self.key_name = ""  # of the key that was sent
        self.status = 0  # 0 until the answer starts
        self.received = 0  # bytes
        self.size = 0  # bytes of the decompressed body
        self.inflater: Inflater | None = None
        self.closing = False  # whether to close the connection after this answer
        self.headers = headers = dict(scope["headers"])  # the last one of repeated headers
        self.authorization: bytes = headers.get(b"authorization", b"")
        request_id: bytes | None = headers.get(REQUEST_ID)
        if request_id is None or not VALID_REQUEST_ID.fullmatch(request_id):
            request_id = new_request_id()
        self.request_id = request_id

    @property
    def seconds(self) -> float:
        """Seconds since the request's head was read."""
        return perf_counter() - self.started

    def wished_seconds(self) -> float | None:
        """Reads after how many seconds the client no longer wants the answer, if it says so.

        Raises:
            InvalidFieldError: the header is not a positive number.
        """
        wish = self.headers.get(TIMEOUT)
        if wish is None:
            return None
        try:
            seconds = 0.0 if b"_" in wish else float(wish)  # Python reads 1_0 as 10
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            raise InvalidFieldError(TIMEOUT.decode(), "expected a number of seconds above 0")
        return seconds

    async def receive(self) -> Message:
        """Receives the next part of the body, decompressed.

        Raises:
            BodyTooLargeError: more bytes than allowed are declared, received or decompressed.
            EncodingError, MalformedEncodingError: it cannot be decompressed.
            WireError, SlowBodyError: the protocol gave up the request.
        """
        if not self.received:
            self.begin_body()
        message = await self.receive_message()
        if message["type"] == "http.request":
            if FAILURE in self.scope:
                raise self.scope[FAILURE]
            body = message.get("body", b"")
            self.received += len(body)
            if self.received > self.limit:
                raise BodyTooLargeError(self.limit)
            if self.inflater is not None:
                last = not message.get("more_body", False)
                # On a thread, because a small part may expand to the whole limit.
                inflated = await asyncio.to_thread(self.inflater.inflate, body, last)
                return {**message, "body": inflated}
        return message

    def begin_body(self) -> None:
        declared = self.headers.get(b"content-length")
        if declared is not None and int(declared) > self.limit:
            raise BodyTooLargeError(self.limit)
        encoding = self.headers.get(b"content-encoding")
        if encoding is not None and encoding.strip().lower() != b"identity":
            self.inflater = self.inflater or Inflater(encoding, self.limit)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [
                *message.get("headers", ()),
                (REQUEST_ID, self.request_id),
                (b"x-total-time", b"%.3f" % (1_000 * self.seconds)),
            ]
            if self.closing or (b"expect" in self.headers and not self.received):
                # After a refusal the client may still send its body, which would be read as the
                # next request.
                headers.append((b"connection", b"close"))
            elif KEEPS_ALIVE in self.scope:
                headers.append((b"connection", b"keep-alive"))
            message["headers"] = headers
        await self.send_message(message)


def new_request_id() -> bytes:
    return b"%016x" % getrandbits(64)  # not a secret, and faster than os.urandom


async def read_body(receive: Receive) -> bytes:
    """Reads the whole body; the gateway limits its size, the protocol its time.

    Raises:
        ClientDisconnect: the client left before it was complete.
    """
    message = await receive()
    if not message.get("more_body", False) and message["type"] == "http.request":
        body: bytes = message["body"]
        return body
    parts = []
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


async def refuse_body(receive: Receive) -> None:
    """Reads the body of a request that takes none.

    Raises:
        InvalidFieldError: it is more than an empty object, and would be ignored.
    """
    content = await read_body(receive)
    if content.strip() not in NO_BODIES:
        raise InvalidFieldError(
            "", "this route takes no body; send its parameters in the path and query"
        )


def decode(decoder: "msgspec.json.Decoder[Body]", body: bytes | bytearray) -> Body:
    """Decodes and checks a body.

    Raises:
        MalformedJsonError: it is not JSON, or not UTF-8.
        InvalidFieldError: a field is missing, unknown or of a wrong type; the message names it.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_field(str(error), decoder.type) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedJsonError(
            f"the body is not JSON: {why_unread(bytes(body)) or error}"
        ) from error
    except RecursionError as error:
        raise MalformedJsonError("the body is nested too deeply") from error


async def send_answer(
    send: Send,
    status: int,
    content: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
    kind: bytes = JSON_BYTES,
) -> None:
    """Sends a whole answer directly over ASGI."""
    own = [(b"content-type", kind), (b"content-length", b"%d" % len(content)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": content})


def whole_reader(kind: type[Struct]) -> Read:
    """Makes a function that decodes a body at once."""
    decoder = msgspec.json.Decoder(kind)

    def read(content: bytes, _: Headers) -> Struct:
        return decode(decoder, content)

    return read


def item_reader(kind: type[Struct]) -> Read:
    """Makes a function that decodes a body's list of structs item by item; other bodies at once.

    msgspec holds the interpreter lock while it decodes, even on a thread: several megabytes at once
    would block all other requests.
    """
    field = next((f for f in msgspec.structs.fields(kind) if struct_items(f.type)), None)
    if field is None:
        return whole_reader(kind)
    name = field.name
    outline = msgspec.json.Decoder(outline_of(kind, field))
    items = msgspec.json.Decoder(struct_items(field.type))

    def read(content: bytes, _: Headers) -> Struct:
        rough = decode(outline, content)
        whole = []
        for position, item in enumerate(getattr(rough, name)):
            try:
                whole.append(decode(items, item))
            except InvalidFieldError as error:
                raise error.below(f"{name}.{position}") from error
        return kind(**msgspec.structs.asdict(rough) | {name: tuple(whole)})

    return read


class EncodedResponse(Response):
    """Sends a struct, or bytes; a large answer is compressed if the client accepts it.

    It skips the headers that Starlette handles, to make look-ups cheap.
    """

    def __init__(
        self,
        content: Struct | bytes,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        kind: bytes = JSON_BYTES,
        status: int = 200,
    ) -> None:
        self.status_code = status
        self.background = None
        self.content = content if isinstance(content, bytes) else encode(content)
        self.kind = kind
        self.own_headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content, headers = self.content, self.own_headers
        if len(content) >= COMPRESSED_FROM:
            headers += ((b"vary", b"accept-encoding"),)
            exchange: Exchange = scope[SCOPE_KEY]
            accepted = exchange.headers.get(b"accept-encoding")
            encoding = None if accepted is None else wanted_encoding(accepted.decode("latin-1"))
            if encoding is not None:
                headers += ((b"content-encoding", encoding.encode()),)
                if len(content) > LARGE_BYTES:
                    content = await exchange.executor.run(compress, content, encoding)
                else:
                    content = compress(content, encoding)
        await send_answer(send, self.status_code, content, headers, self.kind)


class JsonBody:
    """Reads a body as a struct; a large one off the event loop.

    Args:
        read: decodes a body that is not only JSON.
        other: decodes a body of another kind, or raises the given error.
        once: checks a body with unseen nodes, and raises if a field occurs twice.
    """

    def __init__(
        self,
        kind: type[Struct],
        read: Read | None = None,
        other: Callable[[bytes, InvalidFieldError], Any] | None = None,
        once: Callable[[bytes], None] | None = None,
    ) -> None:
        self.other = other
        self.once = once
        self.kind = kind
        self.read = read or whole_reader(kind)
        self.read_large = read or item_reader(kind)

    async def __call__(self, request: Request) -> Any:
        exchange: Exchange = request.scope[SCOPE_KEY]
        return await self.take(exchange)

    async def take(self, exchange: Exchange) -> Any:
        """Reads the body as a struct.

        Raises:
            MalformedJsonError, InvalidFieldError: see `decode`.
        """
        content = await read_body(exchange.receive)
        exchange.size = len(content)
        try:
            if len(content) > LARGE_BYTES:
                exchange.executor.check()
                run = exchange.executor.run
                return await run(self.read_once, self.read_large, content, exchange.headers)
            return self.read_once(self.read, content, exchange.headers)
        except InvalidFieldError as refusal:
            if self.other is None:
                raise
            return await exchange.executor.run(self.other, content, refusal)

    def read_once(self, read: Read, content: bytes, headers: Headers) -> Any:
        """Decodes a body, and checks for repeated fields if its answer would not reveal them."""
        body = read(content, headers)
        if self.once is not None and holds_texts(body):
            self.once(content)
        return body


def holds_texts(body: Any) -> bool:
    """Whether a body has unseen nodes, whose answers do not show what was read."""
    return any(node.text is not None for node in body.nodes)
