"""Requests that wait for a version of the graph: what was written through any replica is there.

A change waits as a read does: where its version never comes, nothing is done.
"""

import asyncio

from service.errors import InvalidFieldError, VersionNotReachedError
from service.http.exchange import MIN_VERSION, Exchange
from service.inference.current import Slot
from service.inference.deadlines import seconds_left
from understudy.engine.errors import NotReadyError

DIGITS = 18


class Freshness:
    """Waits where a request asks for it, no longer than the request has time.

    Args:
        seconds: that a request has, unless it says less.
    """

    def __init__(self, slot: Slot, seconds: float) -> None:
        self.slot = slot
        self.seconds = seconds

    async def reach(self, exchange: Exchange) -> None:
        """Returns once the graph has the version that the request asks for, if it does.

        Raises:
            InvalidFieldError: it asks for no version.
            VersionNotReachedError: the graph did not get there in the request's time.
        """
        sent = exchange.headers.get(MIN_VERSION)
        if sent is None:
            return
        if not sent.isdigit() or len(sent) > DIGITS:
            raise InvalidFieldError(MIN_VERSION.decode(), "expected a graph_version, 0 or more")
        wanted = int(sent)
        until = asyncio.get_running_loop().time() + seconds_left(exchange, self.seconds)
        while (engine := self.slot.engine).state.version < wanted:
            try:
                async with asyncio.timeout_at(until):
                    await asyncio.wrap_future(engine.reach(wanted))
            except TimeoutError as error:
                raise VersionNotReachedError(wanted, self.slot.engine.state.version) from error
            if engine is self.slot.engine and engine.state.version < wanted:
                raise NotReadyError("the service is ending")
