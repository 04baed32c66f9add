"""Lets requests wait for a graph version, to read what was written through another replica.

A change waits like a read: if its version never comes, nothing is done.
"""

import asyncio

from service.errors import InvalidFieldError, VersionNotReachedError
from service.http.exchange import MIN_VERSION, Exchange
from service.inference.current import Slot
from service.inference.deadlines import seconds_left
from understudy.engine.errors import NotReadyError

DIGITS = 18


class Freshness:
    """Waits for the requested version, at most for the request's time.

    Args:
        seconds: time limit of a request, unless it sets a shorter one.
    """

    def __init__(self, slot: Slot, seconds: float) -> None:
        self.slot = slot
        self.seconds = seconds

    async def reach(self, exchange: Exchange) -> None:
        """Waits until the graph has the version that the request asks for, if any.

        Raises:
            InvalidFieldError: the header is not a version.
            VersionNotReachedError: the graph did not reach it in the request's time.
        """
        sent = exchange.headers.get(MIN_VERSION)
        if sent is None:
            return
        if not sent.isdigit() or len(sent) > DIGITS:
            raise InvalidFieldError(MIN_VERSION.decode(), "expected a graph version of at least 0")
        wanted = int(sent)
        until = asyncio.get_running_loop().time() + seconds_left(exchange, self.seconds)
        while (engine := self.slot.engine).state.version < wanted:
            try:
                async with asyncio.timeout_at(until):
                    await asyncio.wrap_future(engine.reach(wanted))
            except TimeoutError as error:
                raise VersionNotReachedError(wanted, self.slot.engine.state.version) from error
            if engine is self.slot.engine and engine.state.version < wanted:
                raise NotReadyError("the service is shutting down")
