"""One thread for what would hold the event loop up: large bodies, their look-ups and answers."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

LARGE_BYTES = 65_536  # of a body; smaller ones cost less than handing them over
LARGE_ITEMS = 4_096  # labels or neighbours that are told; fewer take a few milliseconds

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Aside:
    """Runs one thing at a time: two would only take the interpreter from the event loop longer."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")

    async def run(
        self,
        function: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result:
        """What `function` returns or raises."""
        assert not options
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, function, *arguments)

    def close(self) -> None:
        """Waits for what runs."""
        self.thread.shutdown()
