"""Equal work that is wanted at the same time is done once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Runs work by key; who asks for what runs already waits for it with the others."""

    def __init__(self) -> None:
        self.tasks: dict[str, asyncio.Task[Result]] = {}
        self.waiting: dict[asyncio.Task[Result], int] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """What the work returns; it is cancelled when nobody waits for it any more."""
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
        """Nobody joins what has ended, or is being cancelled."""
        self.waiting.pop(task, None)
        if self.tasks.get(key) is task:
            del self.tasks[key]

    async def close(self) -> None:
        """Cancels what runs; nothing may be run afterwards."""
        tasks = list(self.waiting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
