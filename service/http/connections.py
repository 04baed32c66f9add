"""Limits of connections and of their number; refuses those beyond it, and ends them slowly."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from service.errors import ConnectionsError, ServiceError
from service.http.exchange import REQUEST_ID, new_request_id
from service.messages import ErrorBody, encode, error_detail

REFUSED_CONNECTIONS = 64  # kept open at most, to let their clients read the refusal


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Limits of a connection, independent of the route."""

    head_bytes: int = 64 * 2**10  # request line and headers
    headers: int = 256
    pipelined: int = 100  # requests that wait for earlier answers
    connections: int = 1_000
    receive_seconds: float = 30.0  # for a whole request; also for a connection that sends none
    keep_alive_seconds: float = 5.0  # from an answer to the next request
    send_seconds: float = 30.0  # without progress, if the client does not read


class ConnectionLimit:
    """Counts all connections of a process."""

    def __init__(self, most: int) -> None:
        """Starts with no connections.

        Args:
            most: number of connections whose requests are read.
        """
        self.most = most
        self.taken = 0
        self.refused: dict[asyncio.Transport, None] = {}  # still open, oldest first

    def take(self) -> bool:
        """Takes a place for a connection; returns whether there was one."""
        free = self.taken < self.most
        self.taken += free
        return free

    def leave(self, transport: asyncio.Transport, had_place: bool) -> None:
        """Releases the place of a closed connection."""
        if had_place:
            self.taken -= 1
        else:
            self.refused.pop(transport, None)

    def keep_open(self, transport: asyncio.Transport) -> None:
        """Keeps a refused connection open for a while; closes the oldest beyond the limit."""
        self.refused[transport] = None
        if len(self.refused) > REFUSED_CONNECTIONS:
            first = next(iter(self.refused))
            del self.refused[first]
            first.close()


class LingeringTransport:
    """Closes slowly after a last answer, so that a client that still sends can read it.

    Args:
        linger: closes the connection slowly.
    """

    def __init__(self, transport: asyncio.Transport, linger: Callable[[], None]) -> None:
        self.transport = transport
        self.close = linger

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def is_closing(self) -> bool:
        return self.transport.is_closing()


def no_place() -> ConnectionsError:
    return ConnectionsError("too many connections are open; ask again later")


def immediate_refusal(error: ServiceError) -> bytes:
    """Encodes a refusal of an unread request, without anything to wait for."""
    content = encode(ErrorBody(error_detail(error)))
    lines = (
        b"HTTP/1.1 503 Service Unavailable",
        b"content-type: application/json",
        b"content-length: %d" % len(content),
        b"retry-after: %d" % ceil(error.retry_after or 0),
        b"%s: %s" % (REQUEST_ID, new_request_id()),
        b"connection: close",
    )
    return b"\r\n".join((*lines, b"", content))
