"""The calls of gRPC that run: how many there may be, and how long they wait for their clients."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc  # type: ignore[import-untyped]

from service.errors import MessageNotReadError, ServiceError, SlowBodyError
from service.http.protocol import SENT_BYTES
from service.inference.current import LONGEST_WAIT

Handler = Callable[[Any, Any], Awaitable[Any]]
Count = Callable[[ServiceError], None]
Call = asyncio.Task[Any]


class Calls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Hands calls that are not for us to what refuses them, before their messages are read.

    The server would refuse them by itself, but nobody could count them.

    Args:
        most: that run at a time.
        receive_seconds: until a call's message has come.
        send_seconds: in which a client reads 64 KiB of its answer.
        refusing: what answers calls beyond `most`, and those of methods that are not here.
        count: of a call whose message was not read.
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
        self.ends: dict[Call, asyncio.TimerHandle] = {}  # of calls that have their answers
        self.count = count
        # As of a stream: else the message would be waited for.
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
        """The message of the call that runs.

        A client that sends none would hold its call for good, and a few of them, before any key is
        asked for, all calls that there may be.

        Raises:
            SlowBodyError: it did not come in time.
            MessageNotReadError: it is too large, or none comes.
        """
        late = False
        try:
            async with asyncio.timeout(min(self.receive_seconds, LONGEST_WAIT)):
                sent = await anext(messages, None)
        except TimeoutError:
            late, sent = True, None
        self.unread.discard(current_call())  # unless its sender left
        if late:
            seconds = self.receive_seconds
            raise SlowBodyError(f"the message did not arrive within {seconds:g} s")
        if sent is None:
            raise MessageNotReadError("the message is too large, or none came")
        return sent

    def answered(self, size: int) -> None:
        """The call that runs has its answer: one whose client does not read it is given up.

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
            self.count(MessageNotReadError("its sender left"))


def current_call() -> Call:
    call = asyncio.current_task()
    assert call is not None
    return call
