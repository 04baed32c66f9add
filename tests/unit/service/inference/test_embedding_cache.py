"""Embeddings that are shared with other processes."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cache import Cache, CacheOptions
from service.inference.embedding_cache import EmbeddingCache, remembering
from service.redis_link import RedisLink
from service.telemetry.metrics import Metrics
from tests.bundles import HIDDEN, write_tiny_bundle
from tests.redis_server import RedisServer
from tests.unit.service.test_cache import link_to
from understudy.engine import Engine, Node


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


def test_encoders_of_the_same_weights_do_not_take_each_other_s_embeddings(
    redis: RedisServer, tmp_path: Path
) -> None:
    """As those of the same model in 32 and in 8 bits."""
    bundles = [write_tiny_bundle(tmp_path / str(n), "minilm", seed=n) for n in (11, 12)]
    engines = [Engine.open(bundle.folder) for bundle in bundles]
    assert engines[0].manifest.encoder.digest == engines[1].manifest.encoder.digest
    nodes = [Node(text="http socket")]
    plain = [engine.logits(nodes) for engine in engines]

    async def ask(engine: Engine) -> NDArray[np.float32]:
        link = link_to(redis, Metrics())
        cache = EmbeddingCache(Cache("embedding", CacheOptions(), link, link.metrics, False), 10)
        cache.attach(engine)
        resolution = engine.resolve(nodes)
        await cache.prepare(engine, resolution.unseen)
        found = engine.infer(resolution).logits
        await cache.publish(engine)
        await link.close()
        return found

    for engine, expected in zip(engines, plain, strict=True):
        np.testing.assert_allclose(asyncio.run(ask(engine)), expected, atol=1e-6)


def test_an_engine_that_stays_after_a_failed_reload_remembers_once(tmp_path: Path) -> None:
    engine = Engine.open(write_tiny_bundle(tmp_path / "bundle", "minilm").folder)
    cache = EmbeddingCache(Cache("embedding", CacheOptions(), None, Metrics()), 10)
    cache.attach(engine)
    encoder = remembering(engine)
    cache.attach(engine)
    assert remembering(engine) is encoder


def test_hashed_texts_are_not_cached(tmp_path: Path) -> None:
    engine = Engine.open(write_tiny_bundle(tmp_path / "bundle").folder)
    EmbeddingCache(Cache("embedding", CacheOptions(), None, Metrics()), 10).attach(engine)
    assert remembering(engine) is None


@pytest.mark.parametrize(
    "wrong",
    [
        b"a" * 4 * HIDDEN,  # finite, and of another norm
        np.full(HIDDEN, 0.5, np.float32).tobytes(),
        np.zeros(HIDDEN, np.float32).tobytes(),
        np.eye(HIDDEN, dtype=np.float32)[0].tobytes() * 2,
        np.eye(HIDDEN, dtype=np.float32)[0].tobytes()[:-1],
        np.full(HIDDEN, np.nan, np.float32).tobytes(),
        np.full(HIDDEN, 3e38, np.float32).tobytes(),
        b"",
        b"x" * 100_000,  # larger than any value that is kept
    ],
)
def test_an_embedding_that_cannot_be_one_is_a_counted_miss(
    redis: RedisServer, tmp_path: Path, wrong: bytes
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle", "minilm")
    nodes = [Node(text="http socket")]
    plain = Engine.open(bundle.folder).logits(nodes)

    async def classify() -> None:
        engine, link = Engine.open(bundle.folder), link_to(redis, Metrics())
        cache = EmbeddingCache(Cache("embedding", CacheOptions(), link, link.metrics, False), 10)
        cache.attach(engine)
        encoder = remembering(engine)
        assert encoder is not None
        redis.client.set(cache.cache.full(encoder.key("http socket")), wrong)
        resolution = engine.resolve(nodes)
        await cache.prepare(engine, resolution.unseen)
        np.testing.assert_allclose(engine.infer(resolution).logits, plain, atol=1e-6)
        assert link.metrics.cache.values["embedding", "malformed"] == 1
        await cache.publish(engine)  # and puts it right
        await link.close()

    asyncio.run(classify())
    (key,) = redis.client.keys("understudy:embedding:*")
    kept = redis.client.get(key)
    assert isinstance(kept, bytes)
    assert np.linalg.norm(np.frombuffer(kept, np.float32)) == pytest.approx(1)
