"""The HTTP protocol, with a limit on how long a request may take to arrive.

Without it, a client that sends a byte now and then holds a connection for good. The limit covers
head and body; a request that comes in one piece never starts the timer.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import SlowBodyError
from service.messages import ErrorBody, encode, error_detail

IDLE_SECONDS = 60.0  # of a connection that has not begun a request


class TimedProtocol(HttpToolsProtocol):
    receive_seconds: float = 30.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.receiving = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timer = self.loop.call_later(IDLE_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self.receiving = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self.receiving = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        was_receiving = self.receiving
        super().data_received(data)
        if self.receiving and not was_receiving:
            self.stop_timer()
            self.timer = self.loop.call_later(self.receive_seconds, self.give_up)
        elif self.timer is not None and not self.receiving:
            self.stop_timer()

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def give_up(self) -> None:
        """Answers for a request that is not there yet, and ends the connection."""
        if self.transport.is_closing():
            return
        started = self.cycle is not None and self.cycle.response_started
        if not started or self.cycle.response_complete:
            error = SlowBodyError(f"the request did not arrive within {self.receive_seconds:g} s")
            body = encode(ErrorBody(error_detail(error)))
            head = (
                "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self.transport.close()


def timed_protocol(receive_seconds: float) -> type[TimedProtocol]:
    return type("Protocol", (TimedProtocol,), {"receive_seconds": receive_seconds})
