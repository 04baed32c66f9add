"""Work by key, which concurrent callers share."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Runs work by key; concurrent callers with the same key share one run."""

    def __init__(self) -> None:
        self.tasks: dict[str, asyncio.Task[Result]] = {}
        self.waiting: dict[asyncio.Task[Result], int] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Returns the work's result; the work is cancelled when its last caller leaves."""
        task = self.tasks.get(key)
        if task is None:
            task = self.tasks[key] = asyncio.create_task(work())
            self.waiting[task] = 0
            task.add_done_callback(lambda done: self.forget(key, done))
        self.waiting[task] += 1
        try:
            return await asyncio.shield(task)
        finally:
            if task in self.waiting:
                self.waiting[task] -= 1
                if self.waiting[task] == 0:
                    task.cancel()
                    self.forget(key, task)

    def forget(self, key: str, task: asyncio.Task[Result]) -> None:
        """Removes a task that ended or is being cancelled, so that no new caller joins it."""
        self.waiting.pop(task, None)
        if self.tasks.get(key) is task:
            del self.tasks[key]

    async def close(self) -> None:
        """Cancels running work; nothing may be run afterwards."""
        tasks = list(self.waiting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
