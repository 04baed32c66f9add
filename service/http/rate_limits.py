"""How often each key may ask: a bucket of tokens that fills up steadily.

By hand, since it is a dozen lines (generic cell rate algorithm) that say how long to wait, keep a
time stamp a caller, and are the same in Redis.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from service.cache import NAMESPACE, RedisLink

MAX_BUCKETS = 10_000  # callers that are remembered; the longest unseen one is forgotten
LONGEST_CALLER = 64  # characters that are kept; a longer name is kept as its digest
# The bucket as one time stamp, in microseconds of Redis's own clock, so that no process's clock
# matters. KEYS: the caller. ARGV: microseconds a request, and of a full bucket.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + interval
if full_at - now > room then
    return full_at - now - room
end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil(room / 1000) + 1000)
return 0
"""
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class RateLimit:
    requests_per_second: float
    burst: int  # requests at once after a pause


class RateLimiter(Protocol):
    async def wait_seconds(self, caller: str) -> float:
        """0 and a request counted, or the seconds until one may be sent."""


class MemoryRateLimiter:
    """The buckets of one process."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        # caller → monotonic second at which its bucket would be full
        self.full_at: OrderedDict[str, float] = OrderedDict()

    async def wait_seconds(self, caller: str) -> float:
        if len(caller) > LONGEST_CALLER:
            caller = hashlib.sha256(caller.encode()).hexdigest()
        return self.take(caller)

    def take(self, caller: str) -> float:
        """See `RateLimiter`; the bucket as one time stamp (generic cell rate algorithm)."""
        now, interval = monotonic(), 1 / self.limit.requests_per_second
        full_at = max(self.full_at.pop(caller, now), now) + interval
        excess = full_at - now - self.limit.burst * interval
        if excess > interval * 1e-6:
            self.full_at[caller] = full_at - interval
            return excess
        self.full_at[caller] = full_at
        if len(self.full_at) > MAX_BUCKETS:
            self.full_at.popitem(last=False)
        return 0.0


class RedisRateLimiter:
    """Buckets in Redis; while it is away, those of this process alone."""

    def __init__(self, limit: RateLimit, link: RedisLink) -> None:
        self.link = link
        self.local = MemoryRateLimiter(limit)
        interval = MICROSECONDS / limit.requests_per_second
        self.arguments = [str(round(interval)), str(round(interval * limit.burst))]

    async def wait_seconds(self, caller: str) -> float:
        name = hashlib.sha256(caller.encode()).hexdigest()[:32]
        key = f"{NAMESPACE}:rate:{name}"
        waited = await self.link.call(lambda redis: redis.eval(SCRIPT, 1, key, *self.arguments))
        if waited is None:
            return await self.local.wait_seconds(caller)
        return float(waited) / MICROSECONDS
