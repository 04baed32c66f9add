"""Caches bytes by content: in the process, then in Redis if configured.

Keys are derived from the content, so entries never become stale.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from redis.asyncio import Redis

from service.redis_link import NAMESPACE, RedisLink
from service.telemetry.metrics import Metrics

ENTRY_BYTES = 200  # Python's overhead per entry
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
