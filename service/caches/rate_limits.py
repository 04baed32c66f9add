"""Rate limits that several processes share."""

import hashlib

from service.caches.cache import NAMESPACE
from service.caches.redis_link import RedisLink
from service.http.rate_limits import MemoryRateLimiter, RateLimit

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
