"""uvicorn's HTTP protocol with bounds: on heads, on connections, and on slow clients."""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.errors import (
    HeadTooLargeError,
    MalformedHttpError,
    OverloadedError,
    ServiceError,
    SlowBodyError,
    TargetTooLongError,
)
from service.http.connections import ConnectionLimit, immediate_refusal, no_place
from service.http.exchange import FAILURE, KEEPS_ALIVE, REQUEST_ID
from service.http.heads import head_size, origin_form, too_large, without_upgrade

LINGER_SECONDS = 2.0  # for a refused client to read why, before its connection is closed
SENT_BYTES = 64 * 2**10  # to be read by a client within `send_seconds`
UNKNOWN = "-"  # method and path of a request that could not be read
# What comes next on a connection. NOTHING: it is thrown away; END: and all is said.
MESSAGE, HEAD, BODY, NOTHING, END = range(5)
LONGEST_TARGET = 65_535  # bytes that httptools can take apart
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"  # of these all clients know that more comes
logger = logging.getLogger(__name__)
FED_BYTES = 64 * 2**10  # to the parser at a time
BYTES_OF_FRAMING = 16  # for each byte of a body: more than chunks of one byte need
Count = Callable[[ServiceError], None]  # of a refusal told at once, which no application hears of


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Of a connection, below every route."""

    head_bytes: int = 64 * 2**10  # request line and headers
    headers: int = 256
    pipelined: int = 100  # requests that wait for the answers before theirs
    connections: int = 1_000
    receive_seconds: float = 30.0  # of a whole request; also of a connection that sends none
    keep_alive_seconds: float = 5.0  # from an answer to the next request
    send_seconds: float = 30.0  # without progress, where the client does not read


class LingeringTransport:
    """Of a last answer: closing at once would take it away from a client that still sends."""

    def __init__(self, protocol: "Connection") -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        self.protocol.transport.write(data)

    def is_closing(self) -> bool:
        return self.protocol.transport.is_closing()

    def close(self) -> None:
        self.protocol.linger()


class Connection(HttpToolsProtocol):
    """One connection; `check` has to be called now and then."""

    limits = WireLimits()
    count: Count
    connection_limit: ConnectionLimit  # of all connections together
    scope: Any  # of the request that came last

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.part = MESSAGE
        self.since = self.loop.time()  # when this part began
        self.half_closed = False  # the client sends nothing any more, and may wait for answers
        # Since when how many bytes were taken by a client that is waited for, and how many wait.
        self.unsent: tuple[float, int, int] | None = None
        self.has_place = False  # among those whose requests are read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.has_place = self.connection_limit.take()
        if not self.has_place:
            self.turn_away()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection_limit.leave(self.transport, self.has_place)
        super().connection_lost(exc)

    def turn_away(self) -> None:
        """Says that too many connections are open, and ends our side.

        What is sent meanwhile is thrown away: closed at once, the connection would be reset, and
        its client might never read why.
        """
        error = no_place()
        self.transport.write(immediate_refusal(error))
        self.count(error)
        self.linger()
        self.connection_limit.keep_open(self.transport)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Goes on answering a client that has closed its sending side alone.

        One that has left sends the same. It is told from the other by an interim answer, which its
        machine refuses (see `check_left`), and which means nothing to who still listens. Over
        HTTP/1.0 there are none, so there it counts as having left.

        Returns:
            Whether the connection stays open.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self.part in (HEAD, BODY):
            return False
        if self.part == MESSAGE:
            if self.scope["http_version"] != "1.1":
                return False
            cycle.keep_alive = False
            if not self.pipeline and not cycle.response_started:
                self.transport.write(INTERIM)
        self.half_closed = True
        return True

    def check_left(self) -> None:
        """Lets a client go whose machine has refused what was sent to it."""
        connection: socket.socket = self.transport.get_extra_info("socket")
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        elif self.part == MESSAGE:
            self.since = self.loop.time()

    def refuse(self, error: ServiceError) -> None:
        """Answers the request that comes now with an error, in its turn, and ends."""
        if self.part == BODY:
            cycle = self.cycle
            cycle.keep_alive = False
        else:
            cycle = self.refused_cycle()
        self.scope[FAILURE] = error
        cycle.transport = LingeringTransport(self)  # type: ignore[assignment]
        in_body, self.part = self.part == BODY, NOTHING
        if not in_body:
            self.begin(cycle)
        elif cycle.response_complete:
            self.linger()
        else:
            cycle.message_event.set()

    def begin(self, cycle: RequestResponseCycle) -> None:
        """Starts the answer, or lets it wait for those before it."""
        earlier, self.cycle = self.cycle, cycle
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.pipeline.appendleft((cycle, self.app))

    def refused_cycle(self) -> RequestResponseCycle:
        """For a request whose head is not whole."""
        known = self.headers if self.part == HEAD else []
        super().on_message_begin()
        self.headers += [header for header in known if header[0] == REQUEST_ID]
        self.scope.update(method=UNKNOWN, path=UNKNOWN, raw_path=b"", query_string=b"")
        return RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )

    def linger(self) -> None:
        """Ends our side; the client's is closed when it has had time to read."""
        if self.half_closed:  # there is nothing that it could still be sending
            self.transport.close()
            return
        if not self.transport.is_closing() and self.part != END:
            self.part, self.since = END, self.loop.time()
            self.transport.write_eof()
            self.flow.resume_reading()

    def check(self, now: float) -> None:
        """Ends what takes too long.

        Args:
            now: the loop's second.
        """
        if self.half_closed and not self.transport.is_closing():
            self.check_left()
        waited, limits = now - self.since, self.limits
        if self.transport.is_closing() or self.flow.write_paused:
            self.check_sending(now)
            return
        self.unsent = None
        if self.part == END:
            if waited > LINGER_SECONDS:
                self.transport.abort()
        elif self.part == MESSAGE:
            self.check_idle(waited)
        elif self.part == NOTHING:
            return  # until its last answer is sent
        elif self.flow.read_paused:
            self.since = now  # it is we who do not read
        elif waited > limits.receive_seconds:
            self.refuse(
                SlowBodyError(f"the request did not arrive within {limits.receive_seconds:g} s")
            )

    def check_idle(self, waited: float) -> None:
        limits = self.limits
        if self.cycle is None:
            if waited > limits.receive_seconds:
                self.transport.close()
        elif self.cycle.response_complete and waited > limits.keep_alive_seconds:
            self.transport.close()

    def check_sending(self, now: float) -> None:
        """Lets a client go that does not read."""
        size = self.transport.get_write_buffer_size()
        since, taken, before = self.unsent or (now, 0, size)
        # Where there are more, the others were taken: not before is more written.
        taken += before - size if size <= before else before
        if now - since > self.limits.send_seconds:
            if taken < SENT_BYTES:
                self.transport.abort()
            since, taken = now, 0
        self.unsent = since, taken, size


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
        if b"#" in self.url:  # else the parser would leave it away, and what is behind it
            raise MalformedHttpError("the target holds a `#`; in an id it is sent as %23")
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


def wire_protocol(limits: WireLimits, count: Count) -> type[WireProtocol]:
    """The protocol under these limits."""
    shared = ConnectionLimit(limits.connections)
    own = {"limits": limits, "count": staticmethod(count), "connection_limit": shared}
    return type("Protocol", (WireProtocol,), own)
