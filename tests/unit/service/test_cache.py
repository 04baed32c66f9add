"""Caches: their content, lifetimes, and a Redis that comes and goes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from service.cache import ENTRY_BYTES, Cache, CacheOptions, MemoryCache
from service.http.access import RateLimit, RedisRateLimiter
from service.redis_link import RedisLink
from service.telemetry.metrics import Metrics
from tests.lossy_proxy import LossyProxy, lossy_proxy
from tests.redis_server import RedisServer, redis_server


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


def link_to(server: RedisServer, metrics: Metrics) -> RedisLink:
    return RedisLink(server.url, timeout_seconds=2.0, metrics=metrics)


def test_memory_keeps_what_was_used_last() -> None:
    cache = MemoryCache(max_bytes=3 * (ENTRY_BYTES + 2), seconds=60)
    for key in "abc":
        cache.put(key, b"1")
    assert cache.get("a") == b"1"
    cache.put("d", b"1")
    assert [cache.get(key) for key in "abcd"] == [b"1", None, b"1", b"1"]
    assert cache.bytes <= cache.max_bytes


def test_memory_forgets_what_is_old_and_refuses_what_is_large() -> None:
    cache = MemoryCache(max_bytes=1_000, seconds=0)
    cache.put("a", b"1")
    assert cache.get("a") is None
    cache.put("b", b"1" * 2_000)
    assert (cache.get("b"), cache.bytes) == (None, 0)


def test_two_processes_share_through_redis(redis: RedisServer) -> None:
    async def share() -> None:
        metrics = Metrics()
        links = [link_to(redis, metrics) for _ in range(2)]
        first, second = (Cache("teacher", CacheOptions(), link, metrics) for link in links)
        await first.put({"a": b"1", "large": b"x" * 100_000})
        assert await second.get(["a", "b", "large", "a"]) == {"a": b"1"}
        assert (await second.get(["a"])) == {"a": b"1"}
        assert metrics.cache.values["teacher", "redis"] == 1
        assert metrics.cache.values["teacher", "miss"] == 2
        for link in links:
            await link.close()

    asyncio.run(share())
    assert 0 < redis.client.ttl("understudy:teacher:a") <= CacheOptions().seconds


def test_redis_killed_and_started_again(redis: RedisServer) -> None:
    async def survive() -> None:
        metrics = Metrics()
        link = link_to(redis, metrics)
        cache = Cache("x", CacheOptions(memory_bytes=0), link, metrics)
        await cache.put({"a": b"1"})
        redis.kill()
        assert await cache.get(["a"]) == {}
        assert not link.up
        errors = metrics.cache_errors.values[()]
        for _ in range(100):  # asked no more while it is down
            assert await cache.get(["a"]) == {}
        assert metrics.cache_errors.values[()] == errors
        redis.start()
        assert link.reconnecting is not None
        await asyncio.wait_for(link.reconnecting, 20)
        await cache.put({"b": b"2"})
        assert await cache.get(["b"]) == {"b": b"2"}
        await link.close()

    asyncio.run(survive())


def test_a_redis_that_hangs_costs_one_timeout() -> None:
    """A socket that accepts and says nothing."""

    async def ask(port: int) -> None:
        link = RedisLink(f"redis://127.0.0.1:{port}", 0.05, Metrics())
        cache = Cache("x", CacheOptions(), link, Metrics())
        assert await cache.get(["a"]) == {}
        assert not link.up
        await link.close()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(ask(silent.getsockname()[1]))


def test_why_redis_is_away_is_told_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def look() -> None:
        link = RedisLink(f"redis://:secret@127.0.0.1:{port}/0", 2.0, Metrics())
        link.look()
        assert link.looking is not None
        await link.looking
        assert not link.up
        await link.close()

    asyncio.run(look())
    (line,) = caplog.messages
    assert f"127.0.0.1:{port}" in line
    assert "secret" not in line


def test_limits_are_shared_through_redis_and_local_without(redis: RedisServer) -> None:
    async def ask() -> None:
        metrics = Metrics()
        links = [link_to(redis, metrics) for _ in range(2)]
        limiters = [RedisRateLimiter(RateLimit(0.001, burst=2), link) for link in links]
        waits = [await limiters[n % 2].wait_seconds("key:a") for n in range(3)]
        assert waits[:2] == [0, 0]
        assert 900 < waits[2] <= 1_001
        assert await limiters[0].wait_seconds("key:b") == 0
        redis.kill()
        waits = [await limiters[0].wait_seconds("key:a") for _ in range(3)]
        assert waits[:2] == [0, 0]
        assert waits[2] > 0
        for link in links:
            await link.close()

    asyncio.run(ask())


def test_a_clock_of_redis_that_was_put_back_makes_nobody_wait_for_it(redis: RedisServer) -> None:
    async def ask() -> None:
        link = link_to(redis, Metrics())
        limiter = RedisRateLimiter(RateLimit(1, burst=2), link)
        assert await limiter.wait_seconds("key:a") == 0
        (key,) = redis.client.keys("understudy:rate:*")
        redis.client.incrby(key, 3_600 * 1_000_000)  # as a stamp of an hour later
        assert 0 < await limiter.wait_seconds("key:a") <= 1
        await link.close()

    asyncio.run(ask())


@pytest.mark.parametrize("command", ["SET {} theirs", "RPUSH {} theirs"])
def test_another_program_s_data_in_a_count_s_place_is_named_and_left(
    redis: RedisServer, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    async def ask(limiter: RedisRateLimiter) -> None:
        assert await limiter.wait_seconds("key:a") == 0
        client: Any = redis.client
        (key,) = client.keys("understudy:rate:*")
        client.delete(key)
        client.execute_command(*command.format(key.decode()).split())
        kind = client.type(key)
        assert await limiter.wait_seconds("key:a") == 0
        assert await limiter.wait_seconds("key:a") > 0  # by this process's own bucket
        assert client.type(key) == kind
        (line,) = caplog.messages
        assert f"the key {key.decode()} holds no time stamp: remove it" in line

    async def use() -> None:
        link = link_to(redis, Metrics())
        await ask(RedisRateLimiter(RateLimit(0.001, burst=1), link))
        assert link.up
        await link.close()

    asyncio.run(use())


def test_a_full_redis_is_not_down(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """It refuses writes and answers reads; that is told once, not at every write."""

    async def use() -> None:
        metrics = Metrics()
        link = link_to(redis, metrics)
        cache = Cache("x", CacheOptions(memory_bytes=0), link, metrics)
        await cache.put({"a": b"1"})
        redis.client.config_set("maxmemory-policy", "noeviction")
        redis.client.config_set("maxmemory", 1)
        for number in range(150):
            await cache.put({f"key {number}": b"secret"})
            assert await cache.get(["a"]) == {"a": b"1"}
        assert link.up
        assert metrics.cache_refusals.values[()] == 150
        assert () not in metrics.cache_errors.values
        limiter = RedisRateLimiter(RateLimit(0.001, burst=1), link)
        assert await limiter.wait_seconds("key:a") == 0
        assert await limiter.wait_seconds("key:a") > 0  # by this process's own bucket
        redis.client.config_set("maxmemory", 0)
        await cache.put({"b": b"2"})
        assert await cache.get(["b"]) == {"b": b"2"}
        await link.close()

    asyncio.run(use())
    (line,) = caplog.messages
    assert "Redis refuses" in line
    assert "OutOfMemoryError" in line
    assert "secret" not in line


def test_a_server_that_follows_another_since_is_left_for_it(
    redis: RedisServer, tmp_path: Path
) -> None:
    """It keeps its connections and answers reads: only what is written says so."""

    async def use(proxy: LossyProxy, second: RedisServer) -> None:
        metrics = Metrics()
        link = RedisLink(f"redis://127.0.0.1:{proxy.port}/0", 2.0, metrics)
        cache = Cache("x", CacheOptions(memory_bytes=0), link, metrics)
        limiter = RedisRateLimiter(RateLimit(0.001, burst=1), link)
        await cache.put({"a": b"1"})
        for write in (cache.put({"b": b"2"}), limiter.wait_seconds("key:b")):
            proxy.to = redis.port
            await link.client.connection_pool.disconnect()
            assert await cache.get(["a"]) == {"a": b"1"}
            client: Any = redis.client
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            proxy.to = second.port
            await write
            assert await cache.get(["a"]) == {}
        await cache.put({"c": b"3"})
        assert second.client.get(cache.full("c")) == b"3"
        assert await limiter.wait_seconds("key:a") == 0
        assert second.client.keys("understudy:rate:*")
        await link.close()

    (tmp_path / "second").mkdir()
    with redis_server(tmp_path / "second") as second, lossy_proxy(redis.port) as proxy:
        asyncio.run(use(proxy, second))


def test_a_redis_that_comes_and_goes_is_asked_ever_less_often(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It answers a ping, and nothing else."""

    def answer(data: bytes) -> bytes | None:
        if b"PING" in data:
            return b"+PONG\r\n"
        return None if b"MGET" in data else b"+OK\r\n" * data.count(b"*")

    async def flap() -> list[float]:
        pauses = []
        async with answering(answer) as url:
            link = RedisLink(url, 2.0, Metrics())
            cache = Cache("x", CacheOptions(), link, Metrics())
            for _ in range(4):
                assert await cache.get(["a"]) == {}
                assert link.reconnecting is not None
                await asyncio.wait_for(link.reconnecting, 60)
                pauses.append(link.pause)
            await link.close()
        return pauses

    pauses = asyncio.run(flap())
    assert pauses == sorted(set(pauses))
    assert pauses[-1] >= 8 * pauses[0]


FOREIGN = {
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no number": b":abc\r\n",
    "numbers": b"*1\r\n:7\r\n",
    "one number": b":7\r\n",
    "lists": b"*1\r\n*1\r\n:1\r\n",
    "too long": b"*99999999\r\n",
    "unhashable": b"%1\r\n*0\r\n:1\r\n",
    "loading": b"-LOADING dataset\r\n",
    "no permission": b"-NOPERM no\r\n",
    "no key": b"-NOAUTH no\r\n",
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_whatever_speaks_at_its_port_a_look_up_is_a_miss(kind: str) -> None:
    async def ask() -> None:
        async with answering(lambda _: FOREIGN[kind]) as url:
            link = RedisLink(url, 0.2, Metrics())
            cache = Cache("x", CacheOptions(memory_bytes=0), link, Metrics())
            assert await cache.get(["a"]) == {}
            await cache.put({"a": b"1"})
            assert await cache.get(["a"]) == {}
            await link.close()

    asyncio.run(ask())


def test_a_call_that_took_too_long_gives_its_answer_to_nobody(redis: RedisServer) -> None:
    async def ask() -> None:
        link = RedisLink(redis.url, 0.2, Metrics())
        cache = Cache("x", CacheOptions(memory_bytes=0), link, Metrics())
        values = {f"key {number}": str(number).encode() for number in range(20)}
        await cache.put(values)
        for _ in range(3):
            with redis.frozen():
                late = await asyncio.gather(*(cache.get([key]) for key in values))
            assert all(not found for found in late)
            assert link.reconnecting is not None
            await asyncio.wait_for(link.reconnecting, 60)
            for key, value in values.items():
                assert await cache.get([key]) == {key: value}
        await link.close()

    asyncio.run(ask())


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """The URL of a server that is no Redis: what it says to some bytes; None hangs up."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with suppress(OSError):
            while (data := await reader.read(65_536)) and (said := answer(data)) is not None:
                writer.write(said)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.gather(*serving)
