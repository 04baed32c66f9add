"""The HTTP server of one process: its socket and its graceful shutdown."""

import asyncio
import logging
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from service.app import Service
from service.errors import AddressError
from service.http.connections import REFUSED_CONNECTIONS, WireLimits
from service.http.protocol import Connection, wire_protocol
from service.settings import Settings

if TYPE_CHECKING:
    from service.grpc.server import GrpcServer

BACKLOG = 2_048
OTHER_FILES = 64  # open files of the process in addition to connections

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Announces when it listens, and keeps listening for a grace period after SIGTERM.

    During the grace period readiness fails and answers close their connections, so that a load
    balancer and its keep-alive connections move elsewhere before the socket closes.

    Args:
        listening: called once requests are accepted, with the URL and the address of gRPC.
        open_grpc: binds the port of gRPC, if it is served.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        grace_seconds: float,
        url: str,
        listening: Callable[[str, str | None], None],
        open_grpc: "Callable[[], GrpcServer] | None" = None,
    ) -> None:
        super().__init__(config)
        self.open_grpc = open_grpc
        self.grpc: GrpcServer | None = None
        self.service = service
        self.grace_seconds = grace_seconds
        self.url = url
        self.listening = listening
        self.exit_at: float | None = None  # monotonic
        service.parts.metrics.gauge(
            "open_connections", "Open connections.", lambda: len(self.server_state.connections)
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self.open_grpc is not None:
            self.grpc = self.open_grpc()
        await super().startup(sockets)
        if self.started:
            if self.grpc is not None:
                await self.grpc.start()
            loop = asyncio.get_running_loop()
            reloader = self.service.parts.reloader
            loop.add_signal_handler(signal.SIGHUP, reloader.reload_in_background)
            self.listening(self.url, self.grpc.address if self.grpc else None)
            logger.info("serving", extra={"url": self.url})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Starts the grace period on SIGTERM; a second signal, or SIGINT, ends it at once."""
        if sig == signal.SIGTERM and self.exit_at is None and self.grace_seconds:
            self.end_with_grace()
            self._captured_signals.append(sig)
            return
        self.service.drain()
        super().handle_exit(sig, frame)

    def end_with_grace(self) -> None:
        """Starts the grace period, unless it has started."""
        self.service.drain()
        if self.exit_at is None:
            self.exit_at = monotonic() + self.grace_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logger.info("ending")
        if self.grpc is not None:  # first, while the application can still answer its calls
            await self.grpc.stop(self.config.timeout_graceful_shutdown or 0)
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        if self.exit_at is not None and monotonic() >= self.exit_at:
            self.should_exit = True
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.check(now)
        return await super().on_tick(counter)


def bind(host: str, port: int, shared: bool = False) -> socket.socket:
    """Binds the address without listening, so that no client waits while a bundle loads.

    Args:
        shared: with other processes of this user (SO_REUSEPORT).

    Raises:
        AddressError: the address is taken, not of this machine, or invalid.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise address_error(host, port, error) from error
    return bound


def bind_for_others(host: str, port: int) -> socket.socket:
    """Binds an address for several of our processes, if no other process listens there.

    Raises:
        AddressError: see `bind`; or another process listens there, even one that would share it.
    """
    with bind(host, port) as alone:
        port = alone.getsockname()[1]
        try:
            alone.listen()
        except OSError as error:
            raise address_error(host, port, error) from error
    return bind(host, port, shared=True)


def address_error(host: str, port: int, error: OSError) -> AddressError:
    return AddressError(
        f"cannot listen on {host}, port {port}: {error.strerror or error}; "
        "choose another with --port (0 picks a free one) or --host"
    )


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(
    service: Service,
    bound: socket.socket,
    settings: Settings,
    listening: Callable[[str, str | None], None],
    kind: Callable[..., Server] = Server,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets running requests finish.

    Args:
        listening: called with the URL, and the address of gRPC if any, once requests are accepted.
        kind: class of the server.

    Raises:
        AddressError: another process began to listen on the address first.
        SystemExit: 0, after a signal.
    """
    bounded = bounded_by_files(settings.wire, 1 if settings.grpc_port is None else 2)
    config = uvicorn.Config(
        service,
        loop="uvloop",
        http=wire_protocol(bounded, service.count_unread),
        ws="none",
        proxy_headers=False,  # the gateway reads them, if the proxy is trusted
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    host, port = bound.getsockname()[:2]
    grpc = grpc_opener(service, settings, bounded.connections)
    server = kind(config, service, settings.grace_seconds, url_of(bound), listening, grpc)
    try:
        server.run([bound])
    except OSError as error:
        raise address_error(host, port, error) from error
    finally:
        logger.info("ended")


def grpc_opener(
    service: Service, settings: Settings, calls: int
) -> "Callable[[], GrpcServer] | None":
    """Makes a function that binds gRPC's port on the event loop; None if gRPC is not served.

    Args:
        calls: maximum number of concurrent calls.
    """
    if settings.grpc_port is None:
        return None
    from service.grpc.server import GrpcOptions, GrpcServer

    options = GrpcOptions(
        host=settings.host,
        port=settings.grpc_port,
        body_bytes=settings.max_body_bytes,
        head_bytes=settings.max_head_bytes,
        calls=calls,
        receive_seconds=settings.receive_seconds,
        send_seconds=settings.send_seconds,
        shared=settings.workers > 1,
    )
    return lambda: GrpcServer(service, options, service.parts.executor, service.count_unread)


def bounded_by_files(limits: WireLimits, ports: int = 1) -> WireLimits:
    """Raises the limit of open files to what connections need, or lowers the connections.

    Args:
        ports: number of ports, each with that many connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ports * (limits.connections + REFUSED_CONNECTIONS) + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    connections = max((soft - OTHER_FILES) // ports - REFUSED_CONNECTIONS, soft // (4 * ports), 1)
    logger.warning(
        "at most %d connections instead of %d, since this process may open only %d files (ulimit "
        "-n)",
        connections,
        limits.connections,
        soft,
    )
    return replace(limits, connections=connections)


def exit_on_signals() -> None:
    """Makes SIGTERM and SIGINT a plain exit, during loading and after serving.

    SIGHUP, which reloads while serving, has no effect during loading. While uvicorn serves, it
    handles the first two and raises them again, to this handler, after draining.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    signal.signal(signal.SIGHUP, stay)


def leave(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def stay(_: int, __: FrameType | None) -> None:
    logger.info("cannot reload: nothing is served yet")
