"""One request and its answer, as the gateway sees them."""

import os
import re
from time import perf_counter

from starlette.types import Message, Receive, Scope, Send

from service.errors import BodyTooLargeError

REQUEST_ID = b"x-request-id"
VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
SCOPE_KEY = "understudy.exchange"
UNNAMED = "other"


class Exchange:
    """Counts the body, notes the answer's start and adds the common headers."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self.started = perf_counter()
        self.receive_message, self.send_message = receive, send
        self.limit = limit
        self.operation = UNNAMED
        self.status = 0  # none sent yet
        self.received = 0
        self.closing = False  # the connection is to end with this answer
        self.expects_leave = False  # waits for 100 before it sends its body
        self.declared = 0
        self.authorization = b""
        self.request_id = b""
        for name, value in scope["headers"]:
            if name == REQUEST_ID:
                if VALID_REQUEST_ID.fullmatch(value):
                    self.request_id = value
            elif name == b"content-length":
                self.declared = int(value)
            elif name == b"authorization":
                self.authorization = value
            elif name == b"expect":
                self.expects_leave = True
        self.request_id = self.request_id or os.urandom(8).hex().encode()

    @property
    def seconds(self) -> float:
        """Since the request's head was read."""
        return perf_counter() - self.started

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            BodyTooLargeError: more bytes than allowed, declared or received.
        """
        if self.declared > self.limit:
            raise BodyTooLargeError(self.limit)
        message = await self.receive_message()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            if self.received > self.limit:
                raise BodyTooLargeError(self.limit)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [
                *message.get("headers", ()),
                (REQUEST_ID, self.request_id),
                (b"x-total-time", b"%.3f" % (1_000 * self.seconds)),
            ]
            if self.closing or (self.expects_leave and not self.received):
                # After a refusal the client may keep its body, and what follows could not be
                # told from it.
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        await self.send_message(message)
