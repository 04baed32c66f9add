"""Batches: gathering, budgets, refusals, and no request left waiting."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.errors import OverloadedError
from service.inference.batcher import Batcher, BatchOptions, token_cost
from service.parts import build_parts
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.bundles import TinyBundle
from understudy.engine import Engine, Node
from understudy.engine.errors import InferenceError, NotReadyError
from understudy.engine.requests import Resolution, UnseenNode
from understudy.engine.student import Inference
from understudy.graph.mutations import AddEdge, UpsertNode


class Recorded:
    """An engine's inference, with the sizes of its batches, that can be held up or broken."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.inner = engine.infer
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.change: Callable[[Inference], Inference] | None = None
        self.error: Exception | None = None

    def infer(self, resolution: Resolution) -> Inference:
        self.batches.append(len(resolution.unseen))
        self.entered.set()
        assert self.gate.wait(20)
        if self.error is not None:
            raise self.error
        inference = self.inner(resolution)
        return inference if self.change is None else self.change(inference)


@pytest.fixture
def recorded(tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    engine = Engine.open(tiny_bundle.folder)
    recorded = Recorded(engine)
    monkeypatch.setattr(engine, "infer", recorded.infer)
    return recorded


def unseen(*texts: str) -> list[Node]:
    return [Node(text=text, neighbors=("node-1",)) for text in texts]


def run(
    test: Callable[[Batcher], Coroutine[Any, Any, None]], options: BatchOptions | None = None
) -> None:
    async def wrapped() -> None:
        batcher = Batcher(options or BatchOptions(window_seconds=1.0), Metrics())
        try:
            await test(batcher)
        finally:
            await batcher.close()

    asyncio.run(wrapped())


async def logits(batcher: Batcher, engine: Engine, nodes: Sequence[Node]) -> Any:
    batched = await batcher.infer(engine, engine.resolve(nodes))
    return batched.logits


async def entered(recorded: Recorded) -> None:
    assert await asyncio.to_thread(recorded.entered.wait, 20)


def test_what_waits_goes_together_and_everybody_gets_their_own(recorded: Recorded) -> None:
    engine = recorded.engine
    requests = [unseen(f"http socket {n}", f"proof {n}") for n in range(10)]
    alone = [engine.logits(nodes) for nodes in requests]
    recorded.batches.clear()

    async def ask(batcher: Batcher) -> None:
        recorded.gate.clear()
        first = asyncio.create_task(logits(batcher, engine, requests[0]))
        await entered(recorded)
        others = [asyncio.create_task(logits(batcher, engine, r)) for r in requests[1:]]
        await asyncio.sleep(0)
        recorded.gate.set()
        for expected, task in zip(alone, [first, *others], strict=True):
            np.testing.assert_allclose(await task, expected, atol=1e-5)

    run(ask)
    assert recorded.batches == [2, 18]


def test_a_batch_keeps_to_its_budget(recorded: Recorded) -> None:
    engine = recorded.engine

    async def ask(batcher: Batcher) -> None:
        await logits(batcher, engine, unseen(*["four words of text"] * 10))

    run(ask, BatchOptions(batch_tokens=18))  # 18 characters are 6 tokens
    assert recorded.batches == [3, 3, 3, 1]


def test_computing_is_shared_by_who_is_in_a_batch_and_summed_over_a_requests_batches(
    recorded: Recorded,
) -> None:
    engine = recorded.engine
    recorded.change = lambda found: replace(found, encode_ms=6.0, inference_ms=3.0)

    async def ask(batcher: Batcher) -> None:
        several = await batcher.infer(engine, engine.resolve(unseen(*["four words of text"] * 10)))
        assert recorded.batches == [3, 3, 3, 1]
        assert several.computing_ms == pytest.approx(4 * 9.0)
        assert (several.encode_ms, several.inference_ms) == (6.0, 3.0)  # of one batch
        recorded.gate.clear()
        recorded.entered.clear()
        first = asyncio.create_task(batcher.infer(engine, engine.resolve(unseen("before"))))
        await entered(recorded)
        texts = "four words of text", "more"  # 6 tokens, and 3
        others = [
            asyncio.create_task(batcher.infer(engine, engine.resolve(unseen(text))))
            for text in texts
        ]
        await asyncio.sleep(0)
        recorded.gate.set()
        found = [(await task).computing_ms for task in [first, *others]]
        assert recorded.batches[4:] == [1, 2]
        assert found == pytest.approx([9.0, 6.0, 3.0])

    run(ask, BatchOptions(batch_tokens=18, window_seconds=1.0))


def test_a_node_beyond_the_budget_runs_alone(recorded: Recorded) -> None:
    engine = recorded.engine

    async def ask(batcher: Batcher) -> None:
        await logits(batcher, engine, unseen("a", "word " * 100, "b"))

    run(ask, BatchOptions(batch_tokens=10))
    assert recorded.batches == [1, 1, 1]


def test_a_full_queue_refuses_and_says_when_to_come_back(recorded: Recorded) -> None:
    engine = recorded.engine

    async def ask(batcher: Batcher) -> None:
        recorded.gate.clear()
        running = asyncio.create_task(logits(batcher, engine, unseen("a")))
        await entered(recorded)
        waiting = asyncio.create_task(logits(batcher, engine, unseen("b")))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError) as refused:
            await logits(batcher, engine, unseen("c"))
        assert refused.value.retry_after is not None
        assert refused.value.retry_after >= 1
        recorded.gate.set()
        assert len(await running) == len(await waiting) == 1
        assert batcher.queued_tokens == 0

    run(ask, BatchOptions(queue_tokens=3))


def test_who_left_is_dropped_before_any_work(recorded: Recorded) -> None:
    engine = recorded.engine

    async def ask(batcher: Batcher) -> None:
        recorded.gate.clear()
        running = asyncio.create_task(logits(batcher, engine, unseen("a")))
        await entered(recorded)
        leaving = asyncio.create_task(logits(batcher, engine, unseen("b", "c")))
        staying = asyncio.create_task(logits(batcher, engine, unseen("d")))
        await asyncio.sleep(0)
        leaving.cancel()
        recorded.gate.set()
        await running
        await staying
        assert sum(batcher.metrics.abandoned.values.values()) == 2

    run(ask)
    assert recorded.batches == [1, 1]


@pytest.mark.parametrize("error", [InferenceError("broken"), RuntimeError("broken")])
def test_an_exception_fails_its_batch_and_the_worker_lives_on(
    recorded: Recorded, error: Exception
) -> None:
    engine = recorded.engine

    async def ask(batcher: Batcher) -> None:
        recorded.error = error
        with pytest.raises(type(error), match="broken"):
            await logits(batcher, engine, unseen("a", "b"))
        recorded.error = None
        assert len(await logits(batcher, engine, unseen("a"))) == 1

    run(ask)


def test_every_waiter_gets_an_error_of_its_own(recorded: Recorded) -> None:
    """A raised error is changed by every place that it comes through."""
    engine = recorded.engine
    recorded.error = InferenceError("broken", position=3)

    async def ask(batcher: Batcher) -> None:
        asked = [logits(batcher, engine, unseen("a", "b")) for _ in range(3)]
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert recorded.batches == [6]
        assert len({id(error) for error in errors}) == 3
        for error in errors:
            assert isinstance(error, InferenceError)
            assert (str(error), error.details) == ("broken", {"position": 3})

    run(ask)


def test_a_batch_is_of_one_version(recorded: Recorded, tiny_bundle: TinyBundle) -> None:
    """Rows of an unseen node's neighbours mean what they meant when they were looked up."""
    engine = recorded.engine
    nodes = [Node(text="http url", neighbors=("node-7",))]
    before = engine.logits(nodes)

    async def ask(batcher: Batcher) -> None:
        recorded.gate.clear()
        first = asyncio.create_task(logits(batcher, engine, nodes))
        await entered(recorded)
        old = asyncio.create_task(logits(batcher, engine, nodes))
        await asyncio.sleep(0)
        engine.apply([UpsertNode("node-7", "matrix proof atom"), AddEdge("node-7", "node-0")])
        new = asyncio.create_task(logits(batcher, engine, nodes))
        await asyncio.sleep(0)
        recorded.gate.set()
        np.testing.assert_allclose(await first, before, atol=1e-5)
        np.testing.assert_allclose(await old, before, atol=1e-5)
        after = await new
        np.testing.assert_allclose(after, engine.logits(nodes), atol=1e-5)
        assert np.abs(after - before).max() > 1e-3

    recorded.batches.clear()
    run(ask)
    assert recorded.batches[:3] == [1, 1, 1]


def test_neighbors_have_their_price(recorded: Recorded) -> None:
    """Of 32 neighbours' rows two tokens: else a request of many would count as nothing."""
    encoder = recorded.engine.manifest.encoder
    rows = np.arange(32)
    alone, many = (token_cost(UnseenNode("json", near), encoder) for near in (rows[:0], rows))
    assert many == alone + 2


def test_an_end_does_not_hold_up_the_event_loop(recorded: Recorded) -> None:
    engine = recorded.engine

    async def ask() -> None:
        batcher = Batcher(BatchOptions(), Metrics())
        recorded.gate.clear()
        running = asyncio.create_task(logits(batcher, engine, unseen("a")))
        await entered(recorded)
        closing = asyncio.create_task(batcher.close())
        for _ in range(10):
            await asyncio.sleep(0)  # others have their turns while the thread is waited for
        assert not closing.done()
        recorded.gate.set()
        await closing
        with pytest.raises(InferenceError):
            await running

    asyncio.run(ask())


def test_a_failed_batch_makes_the_service_doubt_itself(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However lately a probe passed, the next question about readiness is answered by another."""
    engine = Engine.open(tiny_bundle.folder)
    parts = build_parts(engine, Settings(probe_seconds=3_600), None)

    def broken(_: Resolution) -> Inference:
        raise InferenceError("broken")

    async def ask() -> None:
        await parts.health.check()
        monkeypatch.setattr(engine, "infer", broken)
        monkeypatch.setattr(engine.student.layers[0], "outputs", ["no such output"])
        await parts.health.check()  # it passed lately
        with pytest.raises(InferenceError):
            await parts.batcher.infer(engine, engine.resolve(unseen("a")))
        with pytest.raises(NotReadyError, match="failed"):
            await parts.health.check()
        await parts.close()

    asyncio.run(ask())


def test_too_few_answers_are_an_error_not_somebody_elses(recorded: Recorded) -> None:
    engine = recorded.engine
    recorded.change = lambda i: replace(i, logits=i.logits[:-1])

    async def ask(batcher: Batcher) -> None:
        with pytest.raises(InferenceError, match="1 answers for 2 nodes"):
            await logits(batcher, engine, unseen("a", "b"))

    run(ask)


def test_an_end_leaves_nobody_waiting(recorded: Recorded) -> None:
    engine = recorded.engine

    async def ask(batcher: Batcher) -> None:
        recorded.gate.clear()
        running = asyncio.create_task(logits(batcher, engine, unseen("a")))
        await entered(recorded)
        waiting = asyncio.create_task(logits(batcher, engine, unseen("b")))
        await asyncio.sleep(0)
        recorded.gate.set()
        await batcher.close()
        results = await asyncio.gather(running, waiting, return_exceptions=True)
        assert all(isinstance(result, InferenceError | NotReadyError) for result in results)
        with pytest.raises(NotReadyError):
            await logits(batcher, engine, unseen("c"))

    run(ask)


def test_one_alone_is_not_kept_waiting(recorded: Recorded) -> None:
    """With a window of an hour, a lone request would hang if it waited for company."""
    engine = recorded.engine

    async def ask(batcher: Batcher) -> None:
        for _ in range(3):
            async with asyncio.timeout(20):
                await logits(batcher, engine, unseen("a"))

    run(ask, BatchOptions(window_seconds=3_600))
