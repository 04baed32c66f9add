"""Caches bytes by content: in the process, then in Redis if configured.

Keys are derived from the content, so entries never become stale.
"""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from service.errors import SettingsError
from service.setting_names import flag_name
from service.telemetry.logs import RareLog
from service.telemetry.metrics import Metrics
from understudy.graph.log.streams.server import writes_no_more

ENTRY_BYTES = 200  # Python's overhead per entry
logger = logging.getLogger(__name__)
FIRST_PAUSE = 0.1  # seconds between two attempts to reconnect; doubles
LONGEST_PAUSE = 5.0
STEADY_SECONDS = 60.0  # after this long without failures, pauses start from the shortest again
# Errors of the client if there is no Redis, or a server of another protocol.
AWAY = (RedisError, OSError, TimeoutError, ValueError, TypeError)
DATABASE = re.compile(r"^unix:///|^\w+://[^/?]*/?\d*(\?|$)")  # the client turns wrong names into 0
Result = TypeVar("Result")
NAMESPACE = "understudy"
MALFORMED = "malformed"  # outcome of a look-up, besides hit and miss


class MemoryCache:
    """A least-recently-used cache of bytes; not thread-safe.

    Our own, because `functools.lru_cache` limits neither bytes nor age.
    """

    def __init__(self, max_bytes: int, seconds: float) -> None:
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.bytes = 0

    def get(self, key: str) -> bytes | None:
        entry = self.entries.get(key)
        if entry is None:
            return None
        if monotonic() > entry[0]:
            self.remove(key)
            return None
        self.entries.move_to_end(key)
        return entry[1]

    def put(self, key: str, value: bytes) -> None:
        self.forget(key)
        size = entry_size(key, value)
        if size > self.max_bytes:
            return
        self.entries[key] = (monotonic() + self.seconds, value)
        self.bytes += size
        while self.bytes > self.max_bytes:
            self.remove(next(iter(self.entries)))

    def forget(self, key: str) -> None:
        """Removes an entry, if it exists."""
        if key in self.entries:
            self.remove(key)

    def remove(self, key: str) -> None:
        _, value = self.entries.pop(key)
        self.bytes -= entry_size(key, value)


def entry_size(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES


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
        self.reconnecting: asyncio.Task[None] | None = None
        self.refusals = RareLog(logger)

    async def call(self, operation: Callable[[Redis], Awaitable[Result]]) -> Result | None:
        """Returns the answer of Redis; None if it refuses, and at once while it is down."""
        if not self.up:
            return None
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await operation(self.client)
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
            self.lose(type(error).__name__)
        return None

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
        if self.reconnecting is not None:
            self.reconnecting.cancel()
            with suppress(asyncio.CancelledError):
                await self.reconnecting
        with suppress(*AWAY):
            await self.client.aclose()


def words(error: ResponseError) -> str:
    """Extracts the error of Redis without the command, which holds the values."""
    return f"{type(error).__name__}: {str(error).rpartition('caused error: ')[2]}"


@dataclass(frozen=True, slots=True)
class CacheOptions:
    memory_bytes: int = 64 * 2**20  # in this process
    seconds: int = 7 * 86_400  # lifetime of an entry
    value_bytes: int = 64 * 2**10  # larger values are not cached


class Cache:
    """A cache of one kind of values; Redis is shared with other processes, and may be down.

    Args:
        remember: whether to keep values in this process, too.
    """

    def __init__(
        self,
        name: str,
        options: CacheOptions,
        link: RedisLink | None,
        metrics: Metrics,
        remember: bool = True,
    ) -> None:
        self.name = name
        self.options = options
        self.memory = MemoryCache(options.memory_bytes if remember else 0, options.seconds)
        self.link = link
        self.metrics = metrics

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Returns the values of those keys that are cached."""
        found = {key: value for key in keys if (value := self.memory.get(key)) is not None}
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        self.count("memory", len(keys) - len(missing))
        if missing and self.link is not None:
            for key, value in (await self.shared(self.link, missing)).items():
                found[key] = value
                self.memory.put(key, value)
        shared = sum(key in found for key in missing)
        self.count("redis", shared)
        self.count("miss", len(missing) - shared)
        return found

    async def shared(self, link: RedisLink, keys: Sequence[str]) -> dict[str, bytes]:
        """Returns the values that Redis has; those that cannot be ours are ignored."""
        values: Any = await link.call(lambda redis: redis.mget([self.full(key) for key in keys]))
        if not isinstance(values, list) or len(values) != len(keys):
            return {}  # down, or not a Redis
        known = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        good = {key: value for key, value in known.items() if self.keeps(value)}
        self.count(MALFORMED, len(known) - len(good))
        return good

    def keeps(self, value: Any) -> bool:
        return isinstance(value, bytes) and len(value) <= self.options.value_bytes

    def refuse(self, key: str) -> None:
        """Removes a value that its reader could not use, and counts it."""
        self.memory.forget(key)
        self.count(MALFORMED, 1)

    async def put(self, values: Mapping[str, bytes]) -> None:
        """Stores values, except too large ones."""
        kept = {key: value for key, value in values.items() if self.keeps(value)}
        for key, value in kept.items():
            self.memory.put(key, value)
        if kept and self.link is not None:
            await self.link.call(lambda redis: self.write(redis, kept))

    async def write(self, redis: Redis, values: Mapping[str, bytes]) -> None:
        async with redis.pipeline(transaction=False) as pipeline:
            for key, value in values.items():
                pipeline.set(self.full(key), value, ex=self.options.seconds)
            await pipeline.execute()

    def full(self, key: str) -> str:
        return f"{NAMESPACE}:{self.name}:{key}"

    def count(self, outcome: str, number: int) -> None:
        if number:
            self.metrics.cache.add(self.name, outcome, amount=number)


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
