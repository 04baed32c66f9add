"""One request and its answer, as the gateway sees them."""

import asyncio
import os
import re
from time import perf_counter

from starlette.types import Message, Receive, Scope, Send

from service.errors import BodyTooLargeError
from service.http.decoding import Inflater

REQUEST_ID = b"x-request-id"
VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
SCOPE_KEY = "understudy.exchange"
FAILURE = "understudy.failure"  # what the wire found wrong, maybe after the request has begun
KEEPS_ALIVE = "understudy.keeps_alive"  # the connection goes on although it is HTTP/1.0
UNNAMED = "other"


class Exchange:
    """Counts the body, notes the answer's start and adds the common headers."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self.started = perf_counter()
        self.scope = scope
        self.receive_message, self.send_message = receive, send
        self.limit = limit
        self.operation = UNNAMED
        self.key_name = ""  # whose key was sent
        self.status = 0  # none sent yet
        self.received = 0  # bytes
        self.inflater: Inflater | None = None
        self.closing = False  # the connection is to end with this answer
        self.headers = headers = dict(scope["headers"])  # of a repeated one the last
        self.authorization: bytes = headers.get(b"authorization", b"")
        request_id: bytes | None = headers.get(REQUEST_ID)
        if request_id is None or not VALID_REQUEST_ID.fullmatch(request_id):
            request_id = os.urandom(8).hex().encode()
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
