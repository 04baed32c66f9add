"""Streamed answers."""

from collections.abc import AsyncIterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.errors import OverloadedError
from service.http.exchange import SCOPE_KEY, Exchange

PAUSE_SECONDS = 5.0  # before a refused client may ask again


class Streams:
    """Counts the running streams."""

    def __init__(self) -> None:
        self.running = 0


class Stream(StreamingResponse):
    """A streamed answer; the limit is checked at the moment it starts.

    Args:
        most: maximum number of concurrent streams.
    """

    def __init__(
        self,
        streams: Streams,
        most: int,
        pieces: AsyncIterator[bytes],
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(pieces, headers=headers, media_type=media_type)
        self.streams, self.most = streams, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer.

        Raises:
            OverloadedError: too many streams run.
        """
        if self.streams.running >= self.most:
            raise OverloadedError("others are already reading the whole graph", PAUSE_SECONDS)
        exchange: Exchange = scope[SCOPE_KEY]
        if exchange.scope["method"] == "HEAD":  # the server would discard the body
            self.body_iterator = nothing()
        self.streams.running += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.streams.running -= 1


async def nothing() -> AsyncIterator[bytes]:
    """Yields nothing."""
    return
    yield b""
