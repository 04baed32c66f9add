"""Caches: what they keep, for how long, and that Redis may come and go."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service import Engine, Node
from service.caches.cache import Cache, CacheOptions
from service.caches.embeddings import EmbeddingCache, remembering
from service.caches.memory import ENTRY_BYTES, MemoryCache
from service.caches.rate_limits import RedisRateLimiter
from service.caches.redis_link import RedisLink
from service.metrics import Metrics
from service.rate_limits import RateLimit
from tests.bundles import write_tiny_bundle
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


def test_an_embedding_is_made_once_and_shared(redis: RedisServer, tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", "minilm")
    nodes = [Node(text=text) for text in ("http socket", "proof atom", "http socket")]
    plain = Engine.open(bundle.folder).logits(nodes)

    async def classify(engine: Engine, link: RedisLink) -> int:
        cache = EmbeddingCache(Cache("embedding", CacheOptions(), link, link.metrics, False), 10)
        cache.attach(engine)
        encoder = remembering(engine)
        assert encoder is not None
        inner, made = encoder.encode, 0

        def counted(texts):  # type: ignore[no-untyped-def]
            nonlocal made
            made += len(texts)
            return inner(texts)

        encoder.encode = counted
        for _ in range(2):
            resolution = engine.resolve(nodes)
            await cache.prepare(engine, resolution.unseen)
            np.testing.assert_allclose(engine.infer(resolution).logits, plain, atol=1e-6)
            await cache.publish(engine)
        return made

    async def share() -> list[int]:
        links = [link_to(redis, Metrics()) for _ in range(2)]
        made = [await classify(Engine.open(bundle.folder), link) for link in links]
        for link in links:
            await link.close()
        return made

    assert asyncio.run(share()) == [2, 0]


def test_hashed_texts_are_not_cached(tmp_path: Path) -> None:
    engine = Engine.open(write_tiny_bundle(tmp_path / "bundle").folder)
    EmbeddingCache(Cache("embedding", CacheOptions(), None, Metrics()), 10).attach(engine)
    assert remembering(engine) is None
