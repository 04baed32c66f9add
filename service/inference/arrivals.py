"""Tells whether a request came alone."""

import asyncio


class Arrivals:
    """Counts requests as they come; one event loop's."""

    def __init__(self) -> None:
        self.total = 0
        self.waiting = 0

    async def alone(self) -> bool:
        """Whether no other request came in the same turn of the event loop or the next one."""
        self.total += 1
        number, before = self.total, self.waiting
        self.waiting += 1
        try:
            await asyncio.sleep(0)  # what other connections sent meanwhile is read
            return before == 0 and self.total == number
        finally:
            self.waiting -= 1
