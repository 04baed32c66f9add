"""Bytes by content: first in the process, then in Redis, where there is one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from service.caches.memory import MemoryCache
from service.caches.redis_link import RedisLink
from service.telemetry.metrics import Metrics

NAMESPACE = "understudy"
MALFORMED = "malformed"  # a look-up's outcome, beside hit or miss


@dataclass(frozen=True, slots=True)
class CacheOptions:
    memory_bytes: int = 64 * 2**20  # of this process
    seconds: int = 7 * 86_400  # that an entry lives
    value_bytes: int = 64 * 2**10  # a larger value is not kept


class Cache:
    """One kind of values; Redis is shared with other processes, and may be away."""

    def __init__(
        self,
        name: str,
        options: CacheOptions,
        link: RedisLink | None,
        metrics: Metrics,
        remember: bool = True,
    ) -> None:
        """Assembles.

        Args:
            remember: keep values in this process, too.
        """
        self.name = name
        self.options = options
        self.memory = MemoryCache(options.memory_bytes if remember else 0, options.seconds)
        self.link = link
        self.metrics = metrics

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those of the keys that are known."""
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
        """Those of the keys that Redis knows; what cannot be of ours is left."""
        values: Any = await link.call(lambda redis: redis.mget([self.full(key) for key in keys]))
        if not isinstance(values, list) or len(values) != len(keys):
            return {}  # away, or no Redis
        told = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        good = {key: value for key, value in told.items() if self.keeps(value)}
        self.count(MALFORMED, len(told) - len(good))
        return good

    def keeps(self, value: Any) -> bool:
        return isinstance(value, bytes) and len(value) <= self.options.value_bytes

    def refuse(self, key: str) -> None:
        """Forgets a value that who asked for it cannot use, and counts it."""
        self.memory.forget(key)
        self.count(MALFORMED, 1)

    async def put(self, values: Mapping[str, bytes]) -> None:
        """Keeps values that are not too large."""
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
