"""One request and its answer: what is read, counted, inflated, compressed and sent."""

import asyncio
import gzip
import re
import zlib
from collections.abc import Iterable
from random import getrandbits
from time import perf_counter
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from service.errors import (
    AccessError,
    BodyTooLargeError,
    EncodingError,
    InvalidFieldError,
    MalformedEncodingError,
    MalformedJsonError,
)

REQUEST_ID = b"x-request-id"
VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
SCOPE_KEY = "understudy.exchange"
FAILURE = "understudy.failure"  # what the wire found wrong, maybe after the request has begun
KEEPS_ALIVE = "understudy.keeps_alive"  # the connection goes on although it is HTTP/1.0
UNNAMED = "other"
# Encoding → the window argument of zlib, which also says what is around the deflated data.
WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
Body = TypeVar("Body")
COMPRESSED_FROM = 1_024  # bytes; what is smaller fits a packet anyway
LEVEL = 1  # of zlib: labels and scores repeat so much that more work saves little
JSON = "application/json"
JSON_BYTES = JSON.encode()


class Exchange:
    """Counts the body, notes the answer's start and adds the common headers."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self.started = perf_counter()
        self.scope = scope
        self.receive_message, self.send_message = receive, send
        self.limit = limit
        self.operation = UNNAMED
        self.refusal: AccessError | None = None  # where anyone may not ask
        self.key_name = ""  # whose key was sent
        self.status = 0  # none sent yet
        self.received = 0  # bytes
        self.size = 0  # bytes of the body, inflated
        self.inflater: Inflater | None = None
        self.closing = False  # the connection is to end with this answer
        self.headers = headers = dict(scope["headers"])  # of a repeated one the last
        self.authorization: bytes = headers.get(b"authorization", b"")
        request_id: bytes | None = headers.get(REQUEST_ID)
        if request_id is None or not VALID_REQUEST_ID.fullmatch(request_id):
            request_id = b"%016x" % getrandbits(64)  # no secret, and os.urandom takes longer
        self.request_id = request_id

    @property
    def seconds(self) -> float:
        """Since the request's head was read."""
        return perf_counter() - self.started

    async def receive(self) -> Message:
        """The next part of the body, inflated.

        Raises:
            BodyTooLargeError: more bytes than allowed, declared, received or inflated.
            EncodingError, MalformedEncodingError: it cannot be inflated.
            WireError, SlowBodyError: the wire gave it up.
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
                # On a thread: a part can become as large as the limit.
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
                # After a refusal the client may keep its body, and what follows could not be
                # told from it.
                headers.append((b"connection", b"close"))
            elif KEEPS_ALIVE in self.scope:
                headers.append((b"connection", b"keep-alive"))
            message["headers"] = headers
        await self.send_message(message)


class Inflater:
    """Inflates one body part by part."""

    def __init__(self, encoding: bytes, limit: int) -> None:
        """Begins.

        Args:
            encoding: the header `content-encoding`.
            limit: bytes of the inflated body.

        Raises:
            EncodingError: it is not known, or is more than one.
        """
        window = WINDOWS.get(encoding.strip().lower())
        if window is None:
            known = ", ".join(name.decode() for name in WINDOWS)
            raise EncodingError(f"content-encoding: expected none, or one of {known}")
        self.encoding = encoding.decode("latin-1")
        self.stream = zlib.decompressobj(window)
        self.left = limit
        self.limit = limit

    def inflate(self, data: bytes, last: bool) -> bytes:
        """The next part.

        Raises:
            BodyTooLargeError: more bytes than allowed come out of it.
            MalformedEncodingError: it is not what it says, is cut off, or goes on after its end.
        """
        try:
            inflated = self.stream.decompress(data, self.left + 1)
        except zlib.error as error:
            raise MalformedEncodingError(f"the body is not {self.encoding}") from error
        self.left -= len(inflated)
        if self.left < 0:
            raise BodyTooLargeError(self.limit)
        if self.stream.unused_data:
            raise MalformedEncodingError(f"more follows after the end of the {self.encoding} body")
        if last and not self.stream.eof:
            raise MalformedEncodingError(f"the {self.encoding} body is cut off")
        return inflated


async def read_body(receive: Receive) -> bytes:
    """The whole body; its size is limited by the gateway, its time by the protocol.

    Raises:
        ClientDisconnect: the client left before it was whole.
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


def decode(decoder: "msgspec.json.Decoder[Body]", body: bytes | bytearray) -> Body:
    """Parses and checks a body.

    Raises:
        MalformedJsonError: not JSON, or not UTF-8.
        InvalidFieldError: a field is missing, unknown or of a wrong type; it is named.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_field(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedJsonError(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise MalformedJsonError("the body is nested too deep") from error


def invalid_field(message: str) -> InvalidFieldError:
    """Turns "Expected `str`, got `int` - at `$.nodes[0].text`" into an error on nodes.0.text."""
    problem, _, path = message.partition(" - at `$")
    field = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path.rstrip("`")).lstrip(".")
    own = re.search(r"(?:unknown|required) field `(.*?)`", problem)
    if own:
        field = f"{field}.{own[1]}".lstrip(".")
    return InvalidFieldError(field, problem[:1].lower() + problem[1:])


def wanted_encoding(accepted: str) -> str | None:
    """gzip or deflate, if a client's `accept-encoding` allows one of them; rather gzip."""
    readable: dict[str, bool] = {}
    for entry in accepted.lower().split(","):
        name, _, weight = (part.strip() for part in entry.partition(";"))
        readable[name] = not is_zero(weight)
    others = readable.get("*", False)
    return next((name for name in ("gzip", "deflate") if readable.get(name, others)), None)


def is_zero(weight: str) -> bool:
    """Whether "q=0.000" or the like was said."""
    name, _, value = weight.partition("=")
    return name.strip() == "q" and value.strip().rstrip("0").rstrip(".") in ("", "0")


def compress(content: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(content, LEVEL, mtime=0)
    return zlib.compress(content, LEVEL)


async def send_answer(
    send: Send,
    status: int,
    content: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
    kind: bytes = JSON_BYTES,
) -> None:
    """Sends a whole answer straight over ASGI."""
    own = [(b"content-type", kind), (b"content-length", b"%d" % len(content)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": content})
