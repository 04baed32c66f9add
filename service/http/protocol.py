"""uvicorn's HTTP protocol with limits on heads, connections and slow clients."""

import asyncio
import logging
import socket
from collections.abc import Callable
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
from service.http.connections import (
    ConnectionLimit,
    LingeringTransport,
    WireLimits,
    immediate_refusal,
    no_place,
)
from service.http.exchange import FAILURE, KEEPS_ALIVE, REQUEST_ID
from service.http.heads import head_size, origin_form, too_large, without_upgrade
from service.http.old_clients import answer_as_1_0
from service.http.sending import Sending

LINGER_SECONDS = 2.0  # for a refused client to read the answer, before its connection is closed
UNKNOWN = "-"  # method and path of a request that could not be read
# The next part on a connection. NOTHING: input is discarded; END: and all output was written.
MESSAGE, HEAD, BODY, NOTHING, END = range(5)
LONGEST_TARGET = 65_535  # bytes that httptools can parse
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"  # every client continues to wait after this answer
logger = logging.getLogger(__name__)
FED_BYTES = 64 * 2**10  # passed to the parser at a time
BYTES_OF_FRAMING = 16  # allowed per byte of a body: more than chunks of one byte need
Count = Callable[[ServiceError], None]  # counts refusals that the application does not see


class Connection(HttpToolsProtocol):
    """One connection; `check` must be called regularly."""

    limits = WireLimits()
    count: Count
    connection_limit: ConnectionLimit  # shared by all connections
    scope: Any  # of the latest request

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.part = MESSAGE
        self.since = self.loop.time()  # when this part began
        self.half_closed = False  # whether the client stopped sending, and may wait for answers
        self.sending = Sending()
        self.running: RequestResponseCycle | None = None  # of the request that is answered
        self.has_place = False  # within the limit of connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.has_place = self.connection_limit.take()
        if not self.has_place:
            self.turn_away()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection_limit.leave(self.transport, self.has_place)
        if self.running is not None and not self.running.response_complete:
            # uvicorn tells the latest request alone, which may still wait for its turn.
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self.sending.drained += 1
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    def turn_away(self) -> None:
        """Answers that too many connections are open, and ends our side.

        Further input is discarded: closing at once would reset the connection, and the client might
        not read the answer.
        """
        error = no_place()
        self.transport.write(immediate_refusal(error))
        self.count(error)
        self.linger()
        self.connection_limit.keep_open(self.transport)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps answering a client that only closed its sending side.

        A client that left looks the same. An interim answer distinguishes them: the machine of a
        client that left refuses it (see `check_left`), a listening client ignores it. HTTP/1.0 has
        no interim answers, so there the client counts as having left.

        Returns:
            Whether the connection stays open.
        """
        self.drop_unfinished()
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self.part == BODY:
            return False
        if self.part == MESSAGE:
            if cycle.scope["http_version"] != "1.1":
                return False
            cycle.keep_alive = False
            if not self.pipeline and not cycle.response_started:
                self.transport.write(INTERIM)
        self.half_closed = True
        return True

    def drop_unfinished(self) -> None:
        """Forgets a request that cannot become whole any more, if an earlier one comes before."""
        if self.part == BODY and self.pipeline:
            self.pipeline.popleft()
            last = self.pipeline[0][0] if self.pipeline else self.running
            assert last is not None  # what waits has one that runs before it
            self.cycle, self.part = last, MESSAGE
        elif self.part == HEAD:
            self.part = MESSAGE

    def check_left(self) -> None:
        """Closes the connection if the client's machine has refused what was sent."""
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
        """Answers the current request with an error, in its turn, and closes."""
        if self.part == BODY:
            cycle = self.cycle
            cycle.keep_alive = False
        else:
            cycle = self.refused_cycle()
        self.scope[FAILURE] = error
        cycle.transport = LingeringTransport(self.transport, self.linger)  # type: ignore[assignment]
        in_body, self.part = self.part == BODY, NOTHING
        if not in_body:
            self.begin(cycle)
        elif cycle.response_complete:
            self.linger()
        else:
            cycle.message_event.set()

    def begin(self, cycle: RequestResponseCycle) -> None:
        """Starts the answer, or queues it behind earlier ones."""
        earlier, self.cycle = self.cycle, cycle
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.pipeline.appendleft((cycle, self.app))

    def refused_cycle(self) -> RequestResponseCycle:
        """Makes the cycle of a request whose head is incomplete."""
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
        """Ends our side; the client's side is closed once it had time to read."""
        if self.half_closed:  # the client cannot be sending any more
            self.transport.close()
            return
        if not self.transport.is_closing() and self.part != END:
            self.part, self.since = END, self.loop.time()
            self.transport.write_eof()
            self.flow.resume_reading()

    def check(self, now: float) -> None:
        """Ends parts of a connection that take too long.

        Args:
            now: the event loop's time, seconds.
        """
        if self.half_closed and not self.transport.is_closing():
            self.check_left()
        waited, limits = now - self.since, self.limits
        if self.transport.is_closing() or self.flow.write_paused:
            self.check_sending(now)
            return
        self.sending.begin(None)
        if self.part == END:
            if waited > LINGER_SECONDS:
                self.transport.abort()
        elif self.part == MESSAGE:
            self.check_idle(waited)
        elif self.part == NOTHING:
            return  # until its last answer was sent
        elif self.flow.read_paused:
            self.since = now  # we are not reading: the client is not to blame
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
        """Closes the connection of a client that does not read."""
        size = self.transport.get_write_buffer_size()
        if self.sending.is_slow(now, size, self.limits.send_seconds):
            self.transport.abort()


class WireProtocol(Connection):
    """Reads requests within the limits."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fed = 0  # bytes of the piece that the parser is given
        self.head_bytes = 0  # since the piece in which an incomplete head began
        self.body_bytes = 0
        self.framed_bytes = 0  # of a body with its framing, since the piece in which it began

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
        """Finds why the parser stopped: a limit of ours, or invalid HTTP."""
        cause = error.__context__
        if isinstance(cause, ServiceError):
            return cause
        if not isinstance(cause, httptools.HttpParserError | UnicodeError | None):
            logger.error("a request could not be started", exc_info=cause)
        return MalformedHttpError("this is not a valid HTTP/1.1 request")

    def check_size(self) -> None:
        """Ends a head, or the framing of a body, that is too long."""
        limit = self.limits.head_bytes
        if self.part == HEAD:
            if self.head_bytes > limit:
                self.refuse(too_large(self.url, limit))
            elif len(self.headers) > self.limits.headers:
                self.refuse(self.too_many_headers())
        elif self.framed_bytes > limit + self.body_bytes * BYTES_OF_FRAMING:
            self.refuse(MalformedHttpError("the body's chunks carry more metadata than content"))

    def too_many_headers(self) -> HeadTooLargeError:
        count = self.limits.headers
        return HeadTooLargeError(f"the request has more than {count} headers", limit=count)

    def ignore_upgrade(self, rest: bytes | memoryview) -> None:
        """Reads the request without the offer of another protocol, and its body as its own.

        The parser treats the rest as the other protocol's, so a new parser gets the head again.
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
                raise MalformedHttpError("this is not a proxy; CONNECT is not supported")
            return
        self.check_head()
        super().on_headers_complete()
        self.part = BODY
        self.body_bytes = self.framed_bytes = 0
        if self.scope["http_version"] == "1.0":
            answer_as_1_0(self.cycle)
            if self.parser.should_keep_alive():
                self.keep_alive()
        self.headers = []  # trailers are ignored

    def check_head(self) -> None:
        """Refuses a head that is too large, and splits a target that names a host.

        Raises:
            HeadTooLargeError, TargetTooLongError, MalformedHttpError, OverloadedError.
        """
        limit = self.limits.head_bytes
        if self.head_bytes or self.fed > limit:  # otherwise it cannot be too large
            if head_size(self.url, self.headers) > limit:
                raise too_large(self.url, limit)
            if len(self.url) > LONGEST_TARGET:
                raise TargetTooLongError("the request's path is too long", limit=LONGEST_TARGET)
        if len(self.headers) > self.limits.headers:
            raise self.too_many_headers()
        if b"#" in self.url:  # the parser would silently drop it and what follows
            raise MalformedHttpError("the path contains a `#`; in an id, send it as %23")
        if self.url[:1] != b"/":
            self.url, host = origin_form(self.url)
            if host:  # takes precedence over the header
                others = [header for header in self.headers if header[0] != b"host"]
                self.headers[:] = [(b"host", host), *others]
        if len(self.pipeline) >= self.limits.pipelined:
            raise OverloadedError("too many requests wait on this connection", 1.0)

    def keep_alive(self) -> None:
        """Keeps an HTTP/1.0 connection open, if the client asked and its body's end is certain."""
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
        if self.part != BODY:  # an upgrade was offered: the message is parsed again
            return
        self.part = MESSAGE
        cycle = self.cycle
        if cycle.response_complete:
            self.since = self.loop.time()
            return
        cycle.more_body = False
        cycle.message_event.set()


def wire_protocol(limits: WireLimits, count: Count) -> type[WireProtocol]:
    """Makes the protocol class with these limits."""
    shared = ConnectionLimit(limits.connections)
    own = {"limits": limits, "count": staticmethod(count), "connection_limit": shared}
    return type("Protocol", (WireProtocol,), own)
