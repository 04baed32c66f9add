"""Requests that cannot be answered in their time are refused before anything is done for them."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from service.errors import OverloadedError
from service.http.bodies import Aside
from service.http.exchange import Exchange
from service.inference.batcher import Batched, Batcher, BatchOptions
from service.inference.deadlines import attend
from service.telemetry.metrics import Metrics
from tests.bundles import TinyBundle
from understudy.engine import Engine, Node
from understudy.engine.requests import Resolution
from understudy.engine.student import Inference

TOKENS_PER_SECOND = 10.0
TEXT = "x" * 200  # 52 tokens: 5.2 seconds


async def within(work: Coroutine[Any, Any, Batched], seconds: float) -> Batched:
    """Runs `work` as a request does that has so many seconds and whose client stays."""
    scope: dict[str, Any] = {"type": "http", "headers": []}
    return await attend(work, Exchange(scope, nothing_comes, unsent, 0, Aside()), seconds)


async def nothing_comes() -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def unsent(_: object) -> None:
    raise AssertionError


def test_only_who_cannot_be_answered_in_time_is_refused(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(tiny_bundle.folder)
    infer, entered, gate = engine.infer, threading.Event(), threading.Event()

    def held(resolution: Resolution) -> Inference:
        entered.set()
        assert gate.wait(20)
        return infer(resolution)

    monkeypatch.setattr(engine, "infer", held)

    async def ask() -> None:
        batcher = Batcher(BatchOptions(), Metrics())
        batcher.tokens_per_second = TOKENS_PER_SECOND

        def request() -> Coroutine[Any, Any, Batched]:
            return batcher.infer(engine, engine.resolve([Node(text=TEXT)]))

        # Nothing waits: it may be as slow as was estimated or not, so it is tried.
        first = asyncio.create_task(within(request(), 4.0))
        assert await asyncio.to_thread(entered.wait, 20)
        with pytest.raises(OverloadedError, match=r"10\.4 s") as refused:
            await within(request(), 12.0)
        assert refused.value.retry_after == 1.0
        second = asyncio.create_task(within(request(), 25.0))
        unbounded = asyncio.create_task(request())
        await asyncio.sleep(0)
        gate.set()
        for accepted in (first, second, unbounded):
            assert len((await accepted).logits) == 1
        assert batcher.running_tokens == batcher.queued_tokens == 0
        await batcher.close()

    asyncio.run(ask())
