"""The HTTP protocol: what may come over a connection.

uvicorn's protocol does not bound the head, and leaves the body of a request that offers an upgrade
to be read as the next request.
"""

import logging
from collections.abc import Sequence
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from service.errors import (
    HeadTooLargeError,
    MalformedHttpError,
    OverloadedError,
    ServiceError,
    TargetTooLongError,
    WireError,
)
from service.http.connections import BODY, HEAD, MESSAGE, NOTHING, Connection
from service.http.io import KEEPS_ALIVE
from understudy.engine.limits import WireLimits

Headers = Sequence[tuple[bytes, bytes]]

LONGEST_TARGET = 65_535  # bytes that httptools can take apart
SEPARATORS = 4  # bytes: a colon and a space, carriage return and line feed
logger = logging.getLogger(__name__)
FED_BYTES = 64 * 2**10  # to the parser at a time
BYTES_OF_FRAMING = 16  # for each byte of a body: more than chunks of one byte need


def head_size(target: bytes, headers: Headers) -> int:
    """Bytes on the wire, without the method and the version."""
    return len(target) + sum(len(name) + len(value) + SEPARATORS for name, value in headers)


def too_large(target: bytes, limit: int) -> WireError:
    """What is wrong with a head of more than `limit` bytes."""
    if 2 * len(target) > limit:
        return TargetTooLongError("the target is too long", limit=limit)
    return HeadTooLargeError(f"the request's head has more than {limit:,} bytes", limit=limit)


def without_upgrade(method: bytes, target: bytes, version: str, headers: Headers) -> bytes:
    """The head as its client would have sent it without offering another protocol."""
    lines = [b"%s %s HTTP/%s" % (method, target, version.encode())]
    lines += [b"%s: %s" % (name, value) for name, value in headers if name != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


def origin_form(target: bytes) -> tuple[bytes, bytes]:
    """Takes a target in absolute form apart.

    Returns:
        The target as a path with its query, and the authority, which is empty for `*`.

    Raises:
        MalformedHttpError: it is neither.
    """
    if target == b"*":
        return target, b""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserError as error:
        raise MalformedHttpError("the target is no path") from error
    if url.schema not in (b"http", b"https") or not url.host or url.userinfo is not None:
        raise MalformedHttpError("the target is no path")
    host = b"[%s]" % url.host if b":" in url.host else url.host
    authority = b"%s:%d" % (host, url.port) if url.port else host
    path = url.path or b"/"
    return (path if url.query is None else b"%s?%s" % (path, url.query)), authority


class WireProtocol(Connection):
    """Reads requests within limits."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fed = 0  # bytes that the parser is given now
        self.head_bytes = 0  # since the piece in which an unfinished head began
        self.body_bytes = 0
        self.framed_bytes = 0  # of a body as it came, since the piece in which it began

    def data_received(self, data: bytes) -> None:
        if len(data) <= FED_BYTES:
            self.feed(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), FED_BYTES):
            self.feed(view[start : start + FED_BYTES])

    def feed(self, data: bytes | memoryview) -> None:
        part = self.part
        if part >= NOTHING:
            return
        self.fed = len(data)
        if part == HEAD:
            self.head_bytes += self.fed
        elif part == BODY:
            self.framed_bytes += self.fed
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self.ignore_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            self.refuse(self.reason(error))
        if part and part == self.part:
            self.check_size()

    def reason(self, error: httptools.HttpParserError) -> ServiceError:
        """Why the parser stopped: our own limit, or something that is not HTTP."""
        cause = error.__context__
        if isinstance(cause, ServiceError):
            return cause
        if not isinstance(cause, httptools.HttpParserError | UnicodeError | None):
            logger.error("a request could not be begun", exc_info=cause)
        return MalformedHttpError("this is not HTTP/1.1, or not as it should be")

    def check_size(self) -> None:
        """Ends a head or the framing of a body that goes on for too long."""
        limit = self.limits.head_bytes
        if self.part == HEAD:
            if self.head_bytes > limit:
                self.refuse(too_large(self.url, limit))
            elif len(self.headers) > self.limits.headers:
                self.refuse(self.too_many_headers())
        elif self.framed_bytes > limit + self.body_bytes * BYTES_OF_FRAMING:
            self.refuse(MalformedHttpError("more is said about the body's chunks than in them"))

    def too_many_headers(self) -> HeadTooLargeError:
        count = self.limits.headers
        return HeadTooLargeError(f"the request has more than {count} headers", limit=count)

    def ignore_upgrade(self, rest: bytes | memoryview) -> None:
        """Reads the request as if none had been offered, so that its body is its own.

        The parser takes what follows for another protocol's, so a new one gets the head again.
        """
        head = without_upgrade(
            self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers
        )
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.part = MESSAGE
        self.feed(head)
        if rest:
            self.feed(rest)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.part = HEAD
        self.head_bytes = 0
        self.since = self.loop.time()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise MalformedHttpError("this is no proxy: it connects to nobody")
            return
        self.check_head()
        super().on_headers_complete()
        self.part = BODY
        self.body_bytes = self.framed_bytes = 0
        if self.scope["http_version"] == "1.0" and self.parser.should_keep_alive():
            self.keep_alive()
        self.headers = []  # trailers are nobody's headers

    def check_head(self) -> None:
        """Refuses a head that is too large, and resolves a target that names a host.

        Raises:
            HeadTooLargeError, TargetTooLongError, MalformedHttpError, OverloadedError.
        """
        limit = self.limits.head_bytes
        if self.head_bytes or self.fed > limit:  # else it cannot be
            if head_size(self.url, self.headers) > limit:
                raise too_large(self.url, limit)
            if len(self.url) > LONGEST_TARGET:
                raise TargetTooLongError("the target is too long", limit=LONGEST_TARGET)
        if len(self.headers) > self.limits.headers:
            raise self.too_many_headers()
        if self.url[:1] != b"/":
            self.url, host = origin_form(self.url)
            if host:  # it goes before the header
                others = [header for header in self.headers if header[0] != b"host"]
                self.headers[:] = [(b"host", host), *others]
        if len(self.pipeline) >= self.limits.pipelined:
            raise OverloadedError("too many requests wait on this connection", 1.0)

    def keep_alive(self) -> None:
        """Goes on after an answer to HTTP/1.0 if the client asked and its body's end is sure."""
        if not any(name == b"transfer-encoding" for name, _ in self.headers):
            self.cycle.keep_alive = True
            self.scope[KEEPS_ALIVE] = True

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self.part != BODY:  # an upgrade was offered: it comes again
            return
        self.part = MESSAGE
        cycle = self.cycle
        if cycle.response_complete:
            self.since = self.loop.time()
            return
        cycle.more_body = False
        cycle.message_event.set()


def wire_protocol(limits: WireLimits) -> type[WireProtocol]:
    """The protocol under these limits."""
    return type("Protocol", (WireProtocol,), {"limits": limits})
