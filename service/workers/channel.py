"""Questions and answers between the supervisor and a worker, over a pair of sockets.

The pair is made before the worker is forked, so no other process can reach it, and each side
notices when the other one is gone, for any reason.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from service.errors import WorkerGoneError

logger = logging.getLogger(__name__)
LENGTH_BYTES = 4
OTHER = "another process of the service"
GONE = f"{OTHER} has ended; its log says why"
Kind = TypeVar("Kind")


class Frame(Struct, frozen=True, array_like=True):
    """One message.

    Attributes:
        number: of the question, or of the question that is answered; 0 if no answer is expected.
        question: name of the question; empty for an answer.
        body: MessagePack.
    """

    number: int
    question: str
    body: Raw


def encode_frame(number: int, question: str, body: object) -> bytes:
    data = msgspec.msgpack.encode(Frame(number, question, Raw(msgspec.msgpack.encode(body))))
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


Answering = Callable[[str, Raw], Awaitable[object]]


class Channel:
    """One side of the channel; for one event loop.

    Args:
        answering: answers a question of the other side.
    """

    def __init__(self, end: socket.socket, answering: Answering) -> None:
        self.end = end
        self.answering = answering
        self.numbers = count(1)
        self.waiting: dict[int, asyncio.Future[Raw]] = {}
        self.running: set[asyncio.Task[None]] = set()
        self.writer: asyncio.StreamWriter | None = None
        self.gone = False

    async def open(self) -> asyncio.StreamReader:
        reader, self.writer = await asyncio.open_unix_connection(sock=self.end)
        return reader

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Processes messages until the other side is gone."""
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
                frame = msgspec.msgpack.decode(await reader.readexactly(length), type=Frame)
                if frame.question:
                    task = asyncio.create_task(self.answer(frame))
                    self.running.add(task)
                    task.add_done_callback(self.running.discard)
                elif (future := self.waiting.pop(frame.number, None)) and not future.done():
                    future.set_result(frame.body)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.close()

    async def answer(self, frame: Frame) -> None:
        try:
            body = await self.answering(frame.question, frame.body)
        except Exception:  # one failed question must not stop the channel
            logger.exception("no answer to %s", frame.question)
            body = None
        if frame.number:
            self.send(frame.number, "", body)

    def send(self, number: int, question: str, body: object) -> None:
        if self.writer is not None and not self.gone:
            self.writer.write(encode_frame(number, question, body))

    def tell(self, question: str, body: object = None) -> None:
        """Sends a message without an answer; does nothing if the other side is gone."""
        self.send(0, question, body)

    async def ask(
        self, question: str, answer: type[Kind], body: object = None, seconds: float | None = None
    ) -> Kind:
        """Asks the other side.

        Args:
            answer: type of the answer.
            seconds: time limit; None: no limit.

        Raises:
            WorkerGoneError: the other side is gone, failed, or did not answer in time.
        """
        if self.gone:
            raise WorkerGoneError(GONE)
        number = next(self.numbers)
        future = self.waiting[number] = asyncio.get_running_loop().create_future()
        self.send(number, question, body)
        try:
            found = await asyncio.wait_for(future, seconds)
            return msgspec.msgpack.decode(found, type=answer)
        except TimeoutError as error:
            raise WorkerGoneError(
                f"{OTHER} did not answer within {seconds:g} s ({question})"
            ) from error
        except msgspec.ValidationError as error:
            raise WorkerGoneError(f"{OTHER} failed ({question}); the log says why") from error
        finally:
            self.waiting.pop(number, None)

    def close(self) -> None:
        """Fails all waiting calls; may be called repeatedly."""
        self.gone = True
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(WorkerGoneError(GONE))
        if self.writer is not None:
            with suppress(ConnectionError):
                self.writer.close()


def send_now(end: socket.socket, question: str, body: Any) -> None:
    """Sends a message before there is an event loop."""
    with suppress(ConnectionError):
        end.sendall(encode_frame(0, question, body))
