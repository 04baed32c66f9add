"""A minimal HTTP client for load: it sends prepared bytes over kept connections."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec

from benchmarks.serving.servers import CLASSIFY

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def prepare(body: dict[str, Any], path: str = CLASSIFY, seconds: float | None = None) -> bytes:
    """A request's bytes; where seconds are given, it says that its answer is wanted within them."""
    content = msgspec.json.encode(body)
    wish = "" if seconds is None else f"x-timeout-seconds: {seconds:g}\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"{wish}content-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


@dataclass
class RawClient:
    host: str
    port: int
    idle: list[Connection] = field(default_factory=list)

    async def send(self, request: bytes) -> int:
        """Sends a prepared request; returns the status of its answer.

        Raises:
            OSError, EOFError: there is no connection, or it ended before the answer did.
        """
        try:
            return await self.send_over(self.idle.pop(), request)
        except (IndexError, OSError, EOFError):  # none is idle, or the server closed it meanwhile
            return await self.send_over(await self.connect(), request)

    async def send_over(self, connection: Connection, request: bytes) -> int:
        """Returns the status; closes the connection unless the server keeps it open."""
        reader, writer = connection
        kept = False
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            kept = b"\r\nconnection: close\r\n" not in head
        finally:
            if kept:
                self.idle.append(connection)
            else:
                writer.close()
        return int(head[9:12])

    async def connect(self) -> Connection:
        return await asyncio.open_connection(self.host, self.port)

    def close(self) -> None:
        for _, writer in self.idle:
            writer.close()
