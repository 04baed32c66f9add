"""Event loops that end cleanly on a signal."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")
ENDING = (signal.SIGTERM, signal.SIGHUP)


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs `work` in a loop of its own, in the main thread; returns its result.

    A handler of signals that exits, as `understudy.cli:tidy_end` has, would do so in whatever task
    runs at that moment, which then shows a trace: here all tasks are cancelled first.
    """
    signals: list[int] = []
    try:
        return asyncio.run(until_signalled(work, signals))
    except asyncio.CancelledError:
        if signals:
            sys.exit(128 + signals[0])
        raise


async def until_signalled(work: Coroutine[Any, Any, Result], signals: list[int]) -> Result:
    """Awaits `work`; a signal cancels it, and is added to `signals`."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def end(number: int, _: FrameType | None) -> None:
        signals.append(number)
        loop.call_soon_threadsafe(task.cancel)

    # What is ignored, as under nohup, stays so.
    ours = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in ours}
    try:
        return await work
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
