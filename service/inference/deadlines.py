"""Deadlines of requests: avoids work for answers that would be too late."""

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
# The monotonic second after which the answer of the running request is not wanted.
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
# The part of a request's remaining time that is reserved for an answer without the late part.
SPARED_SHARE, SPARED_SECONDS = 0.1, 1.0
SAFETY = 1.25  # factor on estimated waits: the next batches may be slower than the last ones


def hopeless_wait(tokens: int, tokens_per_second: float) -> float | None:
    """Estimates the wait, if it exceeds the running request's time.

    Args:
        tokens: estimated, of everything before the request and of its own nodes.
        tokens_per_second: recent speed; 0 if unknown.

    Returns:
        Seconds, or None if the request may wait.
    """
    until = deadline.get()
    if until is None or not tokens_per_second:
        return None
    seconds = tokens / tokens_per_second
    return seconds if seconds * SAFETY > until - monotonic() else None


def spared() -> float | None:
    """Seconds that the running request may wait for an optional part of its answer.

    None if there is no limit.
    """
    until = deadline.get()
    if until is None:
        return None
    left = max(until - monotonic(), 0.0)
    return left - min(SPARED_SHARE * left, SPARED_SECONDS)


def seconds_left(exchange: Exchange, longest: float) -> float:
    """Computes the rest of a request's time, from the setting or the client's shorter wish.

    Raises:
        InvalidFieldError: see `Exchange.wished_seconds`.
    """
    wished = exchange.wished_seconds()
    seconds = longest if wished is None else min(wished, longest)
    return max(seconds - exchange.seconds, 0.0)


async def attend(work: Coroutine[Any, Any, Result], exchange: Exchange, seconds: float) -> Result:
    """Runs `work` until it ends, the client leaves, or the time is over.

    Raises:
        ClientDisconnect: the client left; the work is cancelled.
        DeadlineError: the time is over; the work is cancelled.
    """
    token = deadline.set(monotonic() + seconds)
    task = asyncio.ensure_future(work)
    deadline.reset(token)
    # The body was read, so the only further message from the client is that it left.
    leaving = asyncio.ensure_future(exchange.receive_message())
    try:
        done, _ = await asyncio.wait(
            {task, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if task in done:
            return task.result()
        if leaving in done:
            raise ClientDisconnect
        raise DeadlineError(exchange.seconds)  # of the request, not only of this work
    finally:
        for waiting in (task, leaving):
            if not waiting.done():
                waiting.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await waiting
