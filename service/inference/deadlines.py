"""Deadlines of requests: no work for an answer that would come too late."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

from service.errors import DeadlineError
from service.http.exchange import Exchange

Result = TypeVar("Result")
# Of the request that runs: the monotonic second after which its answer is not wanted.
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
# Of what is left of a request's time, for the answer without that which is late.
SPARED_SHARE, SPARED_SECONDS = 0.1, 1.0
SAFETY = 1.25  # a wait is estimated from how fast batches were, which the next ones may not be


def hopeless_wait(tokens: int, tokens_per_second: float) -> float | None:
    """The estimated wait, if it is longer than the request that runs may take.

    Args:
        tokens: estimated ones of everything that goes before, and of the request's own nodes.
        tokens_per_second: how many are done lately; 0 where it is not known yet.

    Returns:
        Seconds, or None where the request may wait.
    """
    until = deadline.get()
    if until is None or not tokens_per_second:
        return None
    seconds = tokens / tokens_per_second
    return seconds if seconds * SAFETY > until - monotonic() else None


def spared() -> float | None:
    """Seconds for which the request that runs may wait for what it can be answered without.

    None where it may wait for ever.
    """
    until = deadline.get()
    if until is None:
        return None
    left = max(until - monotonic(), 0.0)
    return left - min(SPARED_SHARE * left, SPARED_SECONDS)


def seconds_left(exchange: Exchange, longest: float) -> float:
    """What is left of a request's time, from the setting or the client's shorter wish.

    Raises:
        InvalidFieldError: see `Exchange.wished_seconds`.
    """
    wished = exchange.wished_seconds()
    seconds = longest if wished is None else min(wished, longest)
    return max(seconds - exchange.seconds, 0.0)


async def attend(work: Coroutine[Any, Any, Result], exchange: Exchange, seconds: float) -> Result:
    """Runs `work` until it ends, nobody waits any more, or its time is over.

    Raises:
        ClientDisconnect: the client left; the work is cancelled.
        DeadlineError: the time is over; the work is cancelled.
    """
    token = deadline.set(monotonic() + seconds)
    task = asyncio.ensure_future(work)
    deadline.reset(token)
    # The body is read, so all that can still come from the client is that it leaves.
    leaving = asyncio.ensure_future(exchange.receive_message())
    try:
        done, _ = await asyncio.wait(
            {task, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if task in done:
            return task.result()
        if leaving in done:
            raise ClientDisconnect
        raise DeadlineError(seconds)
    finally:
        for waiting in (task, leaving):
            if not waiting.done():
                waiting.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await waiting
