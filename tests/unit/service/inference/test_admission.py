"""Requests that cannot be answered in time are refused before any work."""

import asyncio
import threading
from collections.abc import Coroutine
from time import monotonic
from typing import Any

import pytest

from service.errors import OverloadedError
from service.http.bodies import SerialExecutor
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
Held = tuple[Engine, threading.Event, threading.Event]


async def within(work: Coroutine[Any, Any, Batched], seconds: float) -> Batched:
    """Runs `work` as a request does that has so many seconds and whose client stays."""
    scope: dict[str, Any] = {"type": "http", "headers": []}
    return await attend(work, Exchange(scope, nothing_comes, unsent, 0, SerialExecutor()), seconds)


async def nothing_comes() -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def unsent(_: object) -> None:
    raise AssertionError


@pytest.fixture
def held(tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> Held:
    """An engine, whose inference says that it was entered, and then waits for leave."""
    engine = Engine.open(tiny_bundle.folder)
    infer, entered, gate = engine.infer, threading.Event(), threading.Event()

    def held_up(resolution: Resolution) -> Inference:
        entered.set()
        assert gate.wait(20)
        return infer(resolution)

    monkeypatch.setattr(engine, "infer", held_up)
    return engine, entered, gate


def test_only_who_cannot_be_answered_in_time_is_refused(held: Held) -> None:
    engine, entered, gate = held

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


def test_who_has_left_keeps_nobody_away(held: Held) -> None:
    """A batch runs all the while: what was queued behind it is not taken up before its end."""
    engine, entered, gate = held

    async def ask() -> None:
        batcher = Batcher(BatchOptions(queue_tokens=108), Metrics())
        batcher.tokens_per_second = TOKENS_PER_SECOND

        def request() -> "asyncio.Task[Batched]":
            nodes = [Node(text=TEXT[: len(TEXT) // 2])] * 2
            return asyncio.create_task(batcher.infer(engine, engine.resolve(nodes)))

        running = request()
        assert await asyncio.to_thread(entered.wait, 20)
        leaving, staying = request(), request()
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await request()
        leaving.cancel()
        await asyncio.wait([leaving])
        coming = request()
        await asyncio.sleep(0)
        assert batcher.queued_nodes == 4
        gate.set()
        for accepted in (running, staying, coming):
            assert len((await accepted).logits) == 2
        assert batcher.queued_nodes == batcher.queued_tokens == 0
        assert sum(batcher.metrics.abandoned.values.values()) == 2
        await batcher.close()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            BatchOptions(batch_tokens=52, queue_seconds=10.0),
            r"unseen nodes would wait about 10\.4 s",
        ),
        (BatchOptions(requests=2), "too many unseen nodes are waiting"),
    ],
)
def test_a_queue_is_bounded_in_time_and_in_requests_whatever_time_a_request_has(
    held: Held, options: BatchOptions, message: str
) -> None:
    """Two wait or run; the third would wait for longer than any may, or take the last place."""
    engine, entered, gate = held

    async def ask() -> None:
        batcher = Batcher(options, Metrics())
        batcher.tokens_per_second = TOKENS_PER_SECOND

        def request() -> Coroutine[Any, Any, Batched]:
            return batcher.infer(engine, engine.resolve([Node(text=TEXT)]))

        running = asyncio.create_task(request())
        assert await asyncio.to_thread(entered.wait, 20)
        waiting = asyncio.create_task(request())  # what fits into a batch is no queue
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match=message) as refused:
            await request()
        assert refused.value.retry_after == 5.2
        gate.set()
        for accepted in (running, waiting):
            assert len((await accepted).logits) == 1
        assert len((await request()).logits) == 1
        assert batcher.requests == 0
        await batcher.close()

    asyncio.run(ask())


@pytest.mark.parametrize(("batch_tokens", "known"), [(52 * 8, False), (52 * 4, True)])
def test_a_few_nodes_that_were_all_there_was_tell_nothing_of_how_fast_full_batches_are(
    tiny_bundle: TinyBundle, batch_tokens: int, known: bool
) -> None:
    """Else a burst after lone requests would be refused that is answered in time."""

    async def ask() -> None:
        engine = Engine.open(tiny_bundle.folder)
        batcher = Batcher(BatchOptions(batch_tokens=batch_tokens), Metrics())
        await batcher.infer(engine, engine.resolve([Node(text=TEXT)]))
        assert (batcher.tokens_per_second > 0) == known
        await batcher.close()

    asyncio.run(ask())


def test_where_the_newest_go_first_only_a_batch_goes_before_them(held: Held) -> None:
    """Under overload a client with little time would else be refused though it is answered soon."""
    engine, entered, gate = held

    async def ask() -> None:
        batcher = Batcher(BatchOptions(batch_tokens=52, queue_seconds=100.0), Metrics())
        batcher.tokens_per_second = TOKENS_PER_SECOND

        def request() -> Coroutine[Any, Any, Batched]:
            return batcher.infer(engine, engine.resolve([Node(text=TEXT)]))

        accepted = [asyncio.create_task(request())]
        assert await asyncio.to_thread(entered.wait, 20)
        accepted += [asyncio.create_task(request()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match=r"would take about 20\.8 s"):
            await within(request(), 22.0)
        batcher.overload.refused(monotonic())
        with pytest.raises(OverloadedError, match=r"would take about 15\.6 s"):
            await within(request(), 19.0)
        accepted.append(asyncio.create_task(within(request(), 22.0)))
        await asyncio.sleep(0)
        gate.set()
        for each in accepted:
            assert len((await each).logits) == 1
        await batcher.close()

    asyncio.run(ask())
