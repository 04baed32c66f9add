"""Limits gRPC calls: their number, and how long they wait for their clients."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc  # type: ignore[import-untyped]

from service.errors import MessageNotReadError, ServiceError, SlowBodyError
from service.http.sending import SENT_BYTES
from service.inference.current import LONGEST_WAIT

Handler = Callable[[Any, Any], Awaitable[Any]]
Count = Callable[[ServiceError], None]
Call = asyncio.Task[Any]


class Calls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls beyond the limit, or of unknown methods, before their messages are read.

    grpcio would refuse them itself, but they could not be counted.

    Args:
        most: maximum number of running calls.
        receive_seconds: time limit for a call's message.
        send_seconds: time in which a client has to read 64 KiB of its answer.
        refusing: handlers for calls beyond `most`, and for unknown methods.
        count: counts a call whose message was not read.
    """

    def __init__(
        self,
        most: int,
        receive_seconds: float,
        send_seconds: float,
        refusing: tuple[Handler, Handler],
        count: Count,
    ) -> None:
        self.most = most
        self.receive_seconds = receive_seconds
        self.send_seconds = send_seconds
        self.running = 0
        self.unread: set[Call] = set()
        self.ends: dict[Call, asyncio.TimerHandle] = {}  # of answered calls
        self.count = count
        # As for streams: otherwise grpcio would wait for the message first.
        self.too_many, self.unknown = map(grpc.stream_unary_rpc_method_handler, refusing)

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: Any
    ) -> Any:
        if self.running >= self.most:
            return self.too_many
        call = current_call()
        self.running += 1
        call.add_done_callback(self.leave)
        found = await continuation(details)
        if found is None:
            return self.unknown
        self.unread.add(call)
        return found

    async def message(self, messages: AsyncIterator[bytes]) -> bytes:
        """Receives the message of the current call.

        Without a time limit, clients that send no message could hold all calls, even without a key.

        Raises:
            SlowBodyError: it did not arrive in time.
            MessageNotReadError: it is too large, or there is none.
        """
        late = False
        try:
            async with asyncio.timeout(min(self.receive_seconds, LONGEST_WAIT)):
                sent = await anext(messages, None)
        except TimeoutError:
            late, sent = True, None
        self.unread.discard(current_call())  # not reached if the client left
        if late:
            seconds = self.receive_seconds
            raise SlowBodyError(f"the message did not arrive within {seconds:g} s")
        if sent is None:
            raise MessageNotReadError("the message is too large or missing")
        return sent

    def answered(self, size: int) -> None:
        """Starts the time limit for reading the answer of the current call.

        Args:
            size: bytes of the answer.
        """
        seconds = min(self.send_seconds * (1 + size // SENT_BYTES), LONGEST_WAIT)
        call = current_call()
        self.ends[call] = asyncio.get_running_loop().call_later(seconds, call.cancel)

    def leave(self, call: Call) -> None:
        self.running -= 1
        if (end := self.ends.pop(call, None)) is not None:
            end.cancel()
        if call in self.unread:
            self.unread.remove(call)
            self.count(MessageNotReadError("the client disconnected"))


def current_call() -> Call:
    call = asyncio.current_task()
    assert call is not None
    return call
