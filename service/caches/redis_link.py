"""The connection to Redis, without which everything goes on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.metrics import Metrics

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.1  # seconds between two attempts to reconnect; doubles
LONGEST_PAUSE = 5.0
Result = TypeVar("Result")


class RedisLink:
    """Calls Redis while it answers; a failure is counted and repaired in the background."""

    def __init__(self, url: str, timeout_seconds: float, metrics: Metrics) -> None:
        """Connects at the first call.

        Args:
            timeout_seconds: of one call.
        """
        self.timeout_seconds = timeout_seconds
        self.metrics = metrics
        self.client = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self.up = True  # until a call fails
        self.reconnecting: asyncio.Task[None] | None = None

    async def call(self, operation: Callable[[Redis], Awaitable[Result]]) -> Result | None:
        """What Redis answers; None at once while it is down."""
        if not self.up:
            return None
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await operation(self.client)
        except (RedisError, OSError, TimeoutError) as error:
            self.metrics.cache_errors.add()
            if self.up:
                self.up = False
                logger.warning("Redis is down, going on without: %s", type(error).__name__)
                self.reconnecting = asyncio.create_task(self.reconnect(), name="redis")
            return None

    async def reconnect(self) -> None:
        pause = FIRST_PAUSE
        while not self.up:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(self.timeout_seconds):
                    await self.client.ping()
                self.up = True
        logger.warning("Redis is back")

    async def close(self) -> None:
        if self.reconnecting is not None:
            self.reconnecting.cancel()
            with suppress(asyncio.CancelledError):
                await self.reconnecting
        with suppress(RedisError, OSError):
            await self.client.aclose()
