"""The connection to Redis, which the service can do without."""

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
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from service.errors import SettingsError
from service.setting_names import flag_name
from service.telemetry.logs import RareLog
from service.telemetry.metrics import Metrics
from understudy.graph.log.streams.server import writes_no_more

logger = logging.getLogger(__name__)

NAMESPACE = "understudy"  # begins every key
FIRST_PAUSE = 0.1  # seconds between two attempts to reconnect; doubles
LONGEST_PAUSE = 5.0
ANSWER_SECONDS = 2.0  # for so long an answer shows that Redis is there
STEADY_SECONDS = 60.0  # after this long without failures, pauses start from the shortest again
# Errors of the client if there is no Redis, or a server of another protocol.
AWAY = (RedisError, OSError, TimeoutError, ValueError, TypeError)
DATABASE = re.compile(r"^unix:///|^\w+://[^/?]*/?\d*(\?|$)")  # the client turns wrong names into 0
Result = TypeVar("Result")


def open_client(url: str, timeout_seconds: float, setting: str = "redis_url") -> Redis:
    """Makes a client that connects at its first call.

    Args:
        setting: the setting that holds the URL.

    Raises:
        SettingsError: it is not a URL of a Redis.
    """
    try:
        client = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        pool = client.connection_pool
        connection = pool.connection_class(**pool.connection_kwargs)  # does not connect yet
        usable = DATABASE.search(url) and not connection.encoder.decode_responses
    except (RedisError, ValueError, TypeError) as error:
        raise wrong_url(setting) from error
    if not usable:
        raise wrong_url(setting)
    return client


def wrong_url(setting: str) -> SettingsError:
    """Makes the error without the URL or any part of it, which may hold a password."""
    return SettingsError(
        f"{flag_name(setting)} is not the URL of a Redis; expected redis://host:6379/0 or "
        "redis://user:password@host:6379/0 (or rediss:// or unix://) with special characters "
        "percent-encoded, and without decode_responses",
        setting=setting,
    )


class RedisLink:
    """Calls Redis while it answers; after a failure reconnects in the background.

    A refused call, such as a write while Redis is full, is not a failure: Redis can still be read.
    """

    def __init__(self, url: str, timeout_seconds: float, metrics: Metrics) -> None:
        """Connects at the first call.

        Args:
            timeout_seconds: of one call.

        Raises:
            SettingsError: it is not a URL of a Redis.
        """
        self.timeout_seconds = timeout_seconds
        self.metrics = metrics
        self.client = open_client(url, timeout_seconds)
        self.up = True  # until a call fails
        self.pause = FIRST_PAUSE  # seconds before the next attempt
        self.back = -STEADY_SECONDS  # monotonic, when it last came back
        self.answered = -ANSWER_SECONDS  # monotonic, when it last answered a call
        self.reconnecting: asyncio.Task[None] | None = None
        self.looking: asyncio.Task[None] | None = None
        self.refusals = RareLog(logger)

    async def call(self, operation: Callable[[Redis], Awaitable[Result]]) -> Result | None:
        """Returns the answer of Redis; None if it refuses, and at once while it is down."""
        if not self.up:
            return None
        try:
            async with asyncio.timeout(self.timeout_seconds):
                result = await operation(self.client)
            self.answered = monotonic()
            return result
        except ResponseError as error:
            self.metrics.cache_refusals.add()
            self.refusals.warning(
                "refused", "Redis refuses calls; continuing without it: %s", words(error)
            )
            if writes_no_more(error):  # after a failover the address may lead to another Redis
                with suppress(*AWAY):
                    await self.client.connection_pool.disconnect(inuse_connections=False)
        except AWAY as error:
            self.metrics.cache_errors.add()
            self.lose(reason(error))
        return None

    def look(self) -> None:
        """Starts a call if none was answered lately; `up` shows the result once it has ended.

        So the log and the metrics tell of a missing Redis although no request needs it.
        """
        lately = monotonic() - self.answered < ANSWER_SECONDS
        if self.up and not lately and (self.looking is None or self.looking.done()):
            self.looking = asyncio.create_task(self.greet(), name="redis look")

    async def greet(self) -> None:
        await self.call(ping)

    def lose(self, why: str) -> None:
        """Stops calling Redis until it answers again."""
        if not self.up:
            return
        self.up = False
        logger.warning("Redis is down; continuing without it: %s", why)
        if monotonic() - self.back >= STEADY_SECONDS:
            self.pause = FIRST_PAUSE
        self.reconnecting = asyncio.create_task(self.reconnect(), name="redis")

    async def reconnect(self) -> None:
        """Retries at growing intervals, which stay long if Redis keeps failing."""
        while not self.up:
            await asyncio.sleep(self.pause)
            self.pause = min(2 * self.pause, LONGEST_PAUSE)
            with suppress(*AWAY):
                async with asyncio.timeout(self.timeout_seconds):
                    await self.client.ping()
                self.up = True
        self.back = monotonic()
        logger.warning("Redis is available again")

    async def close(self) -> None:
        for task in (self.looking, self.reconnecting):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        with suppress(*AWAY):
            await self.client.aclose()


async def ping(redis: Redis) -> bool:
    return bool(await redis.ping())


def reason(error: Exception) -> str:
    """Names an error, with its words if they tell of the connection and of no value."""
    name = type(error).__name__
    return f"{name}: {error}" if isinstance(error, RedisConnectionError) else name


def words(error: ResponseError) -> str:
    """Extracts the error of Redis without the command, which holds the values."""
    return f"{type(error).__name__}: {str(error).rpartition('caused error: ')[2]}"
