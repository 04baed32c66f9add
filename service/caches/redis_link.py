"""The connection to Redis, without which everything goes on."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from service.errors import SettingsError
from service.telemetry.logs import RareLog
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.1  # seconds between two attempts to reconnect; doubles
LONGEST_PAUSE = 5.0
STEADY_SECONDS = 60.0  # of service, after which an outage is a new one and pauses begin anew
# What the client raises where there is no Redis, or something that speaks another protocol.
AWAY = (RedisError, OSError, TimeoutError, ValueError, TypeError)
DATABASE = re.compile(r"^unix:///|^\w+://[^/?]*/?\d*(\?|$)")  # the client takes 0 for a wrong one
Result = TypeVar("Result")


def open_client(url: str, timeout_seconds: float) -> Redis:
    """A client that connects at its first call.

    Raises:
        SettingsError: no URL of a Redis.
    """
    try:
        client = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        pool = client.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)  # opens nothing yet
        usable = DATABASE.search(url) and not connection.encoder.decode_responses
    except (RedisError, ValueError, TypeError) as error:
        raise wrong_url() from error
    if not usable:
        raise wrong_url()
    return client


def wrong_url() -> SettingsError:
    """Without the URL or what is wrong in it, since a piece of a password may be just that."""
    return SettingsError(
        "--redis-url is no URL of a Redis; expected redis://host:6379/0 or "
        "redis://user:password@host:6379/0 (or rediss:// or unix://) with special characters "
        "percent-encoded, and no decode_responses",
        setting="redis_url",
    )


class RedisLink:
    """Calls Redis while it answers; a failure is counted and repaired in the background.

    A refused call, such as a write while Redis is full, is no failure: Redis is there, and what
    it holds can be read.
    """

    def __init__(self, url: str, timeout_seconds: float, metrics: Metrics) -> None:
        """Connects at the first call.

        Args:
            timeout_seconds: of one call.

        Raises:
            SettingsError: no URL of a Redis.
        """
        self.timeout_seconds = timeout_seconds
        self.metrics = metrics
        self.client = open_client(url, timeout_seconds)
        self.up = True  # until a call fails
        self.pause = FIRST_PAUSE  # seconds before the next attempt
        self.back = -STEADY_SECONDS  # monotonic, when it last came back
        self.reconnecting: asyncio.Task[None] | None = None
        self.refusals = RareLog(logger)

    async def call(self, operation: Callable[[Redis], Awaitable[Result]]) -> Result | None:
        """What Redis answers; None where it refuses, and at once while it is down."""
        if not self.up:
            return None
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await operation(self.client)
        except ResponseError as error:
            self.metrics.cache_refusals.add()
            self.refusals.warning("refused", "Redis refuses, going on without: %s", words(error))
        except AWAY as error:
            self.metrics.cache_errors.add()
            self.lose(type(error).__name__)
        return None

    def lose(self, why: str) -> None:
        """Leaves Redis alone until it answers again."""
        if not self.up:
            return
        self.up = False
        logger.warning("Redis is down, going on without: %s", why)
        if monotonic() - self.back >= STEADY_SECONDS:
            self.pause = FIRST_PAUSE
        self.reconnecting = asyncio.create_task(self.reconnect(), name="redis")

    async def reconnect(self) -> None:
        """Asks ever less often; one that goes again as soon as it came is asked less often, too."""
        while not self.up:
            await asyncio.sleep(self.pause)
            self.pause = min(2 * self.pause, LONGEST_PAUSE)
            with suppress(*AWAY):
                async with asyncio.timeout(self.timeout_seconds):
                    await self.client.ping()
                self.up = True
        self.back = monotonic()
        logger.warning("Redis is back")

    async def close(self) -> None:
        if self.reconnecting is not None:
            self.reconnecting.cancel()
            with suppress(asyncio.CancelledError):
                await self.reconnecting
        with suppress(*AWAY):
            await self.client.aclose()


def words(error: ResponseError) -> str:
    """What Redis said, without the command, which holds what was to be kept."""
    return f"{type(error).__name__}: {str(error).rpartition('caused error: ')[2]}"
