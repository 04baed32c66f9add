"""The HTTP server: one socket, one process, a graceful end."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from time import monotonic
from types import FrameType

import uvicorn

from service.app import Service
from service.errors import AddressError
from service.protocol import timed_protocol
from service.settings import Settings

BACKLOG = 2_048


class Server(uvicorn.Server):
    """Says when it really listens, and goes on listening for a grace when it is told to end.

    During the grace readiness fails and answers end their connections, so that a load balancer
    and its keep-alive connections turn elsewhere before the socket closes.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        grace_seconds: float,
        url: str,
        listening: Callable[[str], None],
    ) -> None:
        super().__init__(config)
        self.service = service
        self.grace_seconds = grace_seconds
        self.url = url
        self.listening = listening
        self.exit_at: float | None = None  # monotonic

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            loop = asyncio.get_running_loop()
            reloader = self.service.parts.reloader
            loop.add_signal_handler(signal.SIGHUP, reloader.reload_in_background)
            self.listening(self.url)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the grace on SIGTERM; a second signal, or SIGINT, ends it at once."""
        self.service.drain()
        if sig == signal.SIGTERM and self.exit_at is None and self.grace_seconds:
            self.exit_at = monotonic() + self.grace_seconds
            self._captured_signals.append(sig)
            return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self.exit_at is not None and monotonic() >= self.exit_at:
            self.should_exit = True
        return await super().on_tick(counter)


def bind(host: str, port: int) -> socket.socket:
    """Takes the address without listening yet, so that nobody waits while a bundle loads.

    Raises:
        AddressError: the address is taken, not ours, or no address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise address_error(host, port, error) from error
    return bound


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
    listening: Callable[[str], None],
) -> None:
    """Serves until SIGTERM or SIGINT, then lets running requests finish.

    Args:
        listening: called with the URL once requests are accepted.

    Raises:
        AddressError: another process began to listen on the address first.
        SystemExit: 0, after a signal.
    """
    config = uvicorn.Config(
        service,
        loop="uvloop",
        http=timed_protocol(settings.receive_seconds),
        ws="none",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    host, port = bound.getsockname()[:2]
    try:
        Server(config, service, settings.grace_seconds, url_of(bound), listening).run([bound])
    except OSError as error:
        raise address_error(host, port, error) from error


def exit_on_signals() -> None:
    """Makes SIGTERM and SIGINT a plain exit, while loading as well as after serving.

    uvicorn handles both while it serves and raises them again, to this, when it has drained.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)


def leave(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)
