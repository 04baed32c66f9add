"""The HTTP server: one socket, one process, a graceful end."""

import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from service.errors import AddressError

BACKLOG = 2_048


class Server(uvicorn.Server):
    """Says when it really listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self.listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.listening()


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
    app: ASGIApp, bound: socket.socket, drain_seconds: int, listening: Callable[[str], None]
) -> None:
    """Serves until SIGTERM or SIGINT, then lets running requests finish.

    Args:
        listening: called with the URL once requests are accepted.

    Raises:
        AddressError: another process began to listen on the address first.
        SystemExit: 0, after a signal.
    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=drain_seconds,
    )
    url = url_of(bound)
    host, port = bound.getsockname()[:2]
    try:
        Server(config, lambda: listening(url)).run([bound])
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
