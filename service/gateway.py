"""The outermost layer: request ids, body limit, timing, and no exception beyond it."""

import logging
import os
import re
from collections.abc import Mapping
from time import perf_counter

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.answers import failure_response
from service.errors import BodyTooLargeError

logger = logging.getLogger(__name__)

REQUEST_ID = b"x-request-id"
VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class Exchange:
    """One request: counts its body, notes the answer's start and adds the common headers."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self.started = perf_counter()
        self.receive_message, self.send_message = receive, send
        self.limit = limit
        self.received = 0
        self.answering = False
        self.expects_leave = False  # waits for 100 before it sends its body
        self.declared = 0
        self.request_id = b""
        for name, value in scope["headers"]:
            if name == REQUEST_ID and VALID_REQUEST_ID.fullmatch(value):
                self.request_id = value
            elif name == b"content-length":
                self.declared = int(value)
            elif name == b"expect":
                self.expects_leave = True
        self.request_id = self.request_id or os.urandom(8).hex().encode()

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
            self.answering = True
            milliseconds = 1_000 * (perf_counter() - self.started)
            message["headers"] = [
                *message.get("headers", ()),
                (REQUEST_ID, self.request_id),
                (b"x-total-time", b"%.3f" % milliseconds),
            ]
            if self.expects_leave and not self.received:
                # The client may keep its body now, and what follows could not be told from it.
                message["headers"].append((b"connection", b"close"))
        await self.send_message(message)


class Gateway:
    """Wraps an application; every request gets exactly one answer, an error body at worst."""

    def __init__(
        self, app: ASGIApp, max_body_bytes: int, direct: Mapping[tuple[str, str], ASGIApp]
    ) -> None:
        """Wraps `app`.

        Args:
            direct: (method, path) → application, for routes that are to skip the router and
                middleware of `app`, which cost more than a look-up.
        """
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, self.max_body_bytes)
        app = self.direct.get((scope["method"], scope["path"]), self.app)
        try:
            await app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            logger.debug("client left", extra={"request_id": exchange.request_id.decode()})
        except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, the client hears
            await self.fail(error, scope, exchange)

    async def fail(self, error: Exception, scope: Scope, exchange: Exchange) -> None:
        """Logs an error that is not the client's, and answers with it unless an answer began."""
        response = failure_response(error)
        if response.status_code >= 500:
            request_id = exchange.request_id.decode()
            logger.error("request %s failed", request_id, exc_info=error)
        if not exchange.answering:
            await response(scope, exchange.receive, exchange.send)
