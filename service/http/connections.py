"""A connection: how long it may take, how it refuses, and how it ends.

Every error of the wire becomes an answer like any other: it goes through the gateway, in its turn
among pipelined requests, and ends the connection.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.errors import ConnectionsError, ServiceError, SlowBodyError
from service.http.io import FAILURE, REQUEST_ID
from understudy.engine.limits import WireLimits

REFUSED_CONNECTIONS = 64  # over the limit that are told so; more are only closed
LINGER_SECONDS = 2.0  # for a refused client to read why, before its connection is closed
SENT_BYTES = 64 * 2**10  # to be read by a client within `send_seconds`
UNKNOWN = "-"  # method and path of a request that could not be read


# What comes next on a connection. NOTHING: it is thrown away; END: and all is said.
MESSAGE, HEAD, BODY, NOTHING, END = range(5)


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
    scope: Any  # of the request that came last

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.part = MESSAGE
        self.since = self.loop.time()  # when this part began
        self.unsent: tuple[float, int] | None = None  # since when how many bytes wait to be read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        excess = len(self.connections) - self.limits.connections
        if excess > REFUSED_CONNECTIONS:
            transport.abort()
        elif excess > 0:
            self.refuse(ConnectionsError("too many connections are open; ask again later"))

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
        if not self.transport.is_closing() and self.part != END:
            self.part, self.since = END, self.loop.time()
            self.transport.write_eof()
            self.flow.resume_reading()

    def check(self, now: float) -> None:
        """Ends what takes too long.

        Args:
            now: the loop's second.
        """
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
        if self.unsent is None:
            self.unsent = (now, size)
            return
        since, before = self.unsent
        if now - since > self.limits.send_seconds:
            if before - size < SENT_BYTES:
                self.transport.abort()
            self.unsent = (now, size)
