"""Waiting for an answer no longer than anybody wants it."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

from service.errors import DeadlineError, InvalidFieldError
from service.http.exchange import Exchange
from service.inference.admission import deadline
from service.routes.operations import Call

Result = TypeVar("Result")

TIMEOUT_HEADER = b"x-timeout-seconds"


def seconds_left(call: Call, longest: float) -> float:
    """What is left of a request's time, from the setting or the client's shorter wish.

    Raises:
        InvalidFieldError: the header is no positive number.
    """
    wish = call.header(TIMEOUT_HEADER)
    seconds = longest
    if wish is not None:
        try:
            seconds = min(float(wish), longest)
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            raise InvalidFieldError(TIMEOUT_HEADER.decode(), "expected seconds, above 0")
    return max(seconds - call.exchange.seconds, 0.0)


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
