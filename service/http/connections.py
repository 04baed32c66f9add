"""The limit of connections, and the refusal of those beyond it."""

import asyncio
from math import ceil

from service.errors import ConnectionsError, ServiceError
from service.http.exchange import REQUEST_ID, new_request_id
from service.messages import ErrorBody, encode, error_detail

REFUSED_CONNECTIONS = 64  # that are open at most until they have read why


class ConnectionLimit:
    """Of all connections of a process."""

    def __init__(self, most: int) -> None:
        """Begins with none.

        Args:
            most: connections whose requests are read.
        """
        self.most = most
        self.taken = 0
        self.refused: dict[asyncio.Transport, None] = {}  # and open still, the first one first

    def take(self) -> bool:
        """Whether there was a place for one more."""
        free = self.taken < self.most
        self.taken += free
        return free

    def leave(self, transport: asyncio.Transport, had_place: bool) -> None:
        """A connection was closed."""
        if had_place:
            self.taken -= 1
        else:
            self.refused.pop(transport, None)

    def keep_open(self, transport: asyncio.Transport) -> None:
        """A refused connection stays for a while; where many do, the first has to go."""
        self.refused[transport] = None
        if len(self.refused) > REFUSED_CONNECTIONS:
            first = next(iter(self.refused))
            del self.refused[first]
            first.close()


def no_place() -> ConnectionsError:
    return ConnectionsError("too many connections are open; ask again later")


def immediate_refusal(error: ServiceError) -> bytes:
    """A refusal of what has not been read, without anything that would have to be waited for."""
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
