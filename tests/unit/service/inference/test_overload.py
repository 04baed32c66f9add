"""Overload with unseen nodes: the newest go first, and none waits in vain."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import pytest

from service.errors import OverloadedError
from service.inference.batcher import Batched, Batcher, BatchOptions
from service.inference.overload import SOON, Overload, longest_wait
from service.telemetry.metrics import Metrics
from tests.bundles import TinyBundle
from understudy.engine import Engine, Node
from understudy.engine.requests import Resolution
from understudy.engine.student import Inference

WAIT = 20  # seconds, for what should take milliseconds
ONE_A_BATCH = 3  # tokens: a word of four to seven letters


class Steps:
    """An engine that runs one batch each time that it is told to, and knows what was in them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.inner = engine.infer
        self.batches: list[list[str]] = []
        self.begun, self.allowed = threading.Semaphore(0), threading.Semaphore(0)

    def infer(self, resolution: Resolution) -> Inference:
        self.batches.append([node.text for node in resolution.unseen])
        self.begun.release()
        assert self.allowed.acquire(timeout=WAIT)
        return self.inner(resolution)

    async def begins(self) -> None:
        """Waits for the next batch to begin."""
        assert await asyncio.to_thread(self.begun.acquire, timeout=WAIT)

    def go_on(self, batches: int = 100) -> None:
        self.allowed.release(batches)


@pytest.fixture
def steps(tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch) -> Steps:
    engine = Engine.open(tiny_bundle.folder)
    steps = Steps(engine)
    monkeypatch.setattr(engine, "infer", steps.infer)
    return steps


def run(test: Callable[[Batcher], Coroutine[Any, Any, None]], options: BatchOptions) -> None:
    async def wrapped() -> None:
        batcher = Batcher(options, Metrics())
        try:
            await test(batcher)
        finally:
            await batcher.close()

    asyncio.run(wrapped())


def asked(batcher: Batcher, steps: Steps, *texts: str) -> Coroutine[Any, Any, Batched]:
    return batcher.infer(steps.engine, steps.engine.resolve([Node(text=text) for text in texts]))


@pytest.mark.parametrize("refused", [False, True])
def test_the_newest_go_first_once_one_had_to_be_refused(steps: Steps, refused: bool) -> None:
    async def ask(batcher: Batcher) -> None:
        first = asyncio.create_task(asked(batcher, steps, "first"))
        await steps.begins()
        others = [asyncio.create_task(asked(batcher, steps, text)) for text in ("second", "third")]
        await asyncio.sleep(0)
        if refused:
            with pytest.raises(OverloadedError, match="too many unseen nodes are waiting"):
                await asked(batcher, steps, "fourth")
        steps.go_on()
        await asyncio.gather(first, *others)
        assert batcher.queued_nodes == batcher.queued_tokens == batcher.requests == 0

    run(ask, BatchOptions(batch_tokens=ONE_A_BATCH, requests=3))
    order = ["third", "second"] if refused else ["second", "third"]
    assert steps.batches == [["first"], *([text] for text in order)]


def test_a_request_that_has_begun_is_finished_before_newer_ones(steps: Steps) -> None:
    """Else requests of several batches would keep each other from their ends, and none be done."""

    async def ask(batcher: Batcher) -> None:
        first = asyncio.create_task(asked(batcher, steps, "first"))
        await steps.begins()
        large = asyncio.create_task(asked(batcher, steps, "large", "larger", "largest"))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await asked(batcher, steps, "refused")
        steps.go_on(1)
        await first
        await steps.begins()
        newer = asyncio.create_task(asked(batcher, steps, "newer"))
        await asyncio.sleep(0)
        steps.go_on()
        await asyncio.gather(large, newer)

    run(ask, BatchOptions(batch_tokens=ONE_A_BATCH, requests=2))
    assert steps.batches == [["first"], ["large"], ["larger"], ["largest"], ["newer"]]


@pytest.mark.parametrize("left", [False, True])
def test_who_was_passed_is_refused_where_an_overload_lasts(steps: Steps, left: bool) -> None:
    async def ask(batcher: Batcher) -> None:
        batcher.tokens_per_second = 1_000.0
        first = asyncio.create_task(asked(batcher, steps, "first"))
        await steps.begins()
        passed = asyncio.create_task(asked(batcher, steps, "passed", "passed, too"))
        newer = asyncio.create_task(asked(batcher, steps, "newer"))
        await asyncio.sleep(0)
        for seconds in (90, 45, 0):
            batcher.overload.refused(monotonic() - seconds)
        for entry in batcher.queue[0]:
            entry.entered -= 60
        if left:
            passed.cancel()
        steps.go_on()
        await asyncio.gather(first, newer)
        (answer,) = await asyncio.gather(passed, return_exceptions=True)
        if left:
            assert isinstance(answer, asyncio.CancelledError)
        else:
            assert isinstance(answer, OverloadedError)
            assert "too many newer" in str(answer)
            assert (answer.retry_after, answer.reason) == (1.0, "queue_slow")
        assert sum(batcher.metrics.abandoned.values.values()) == (2 if left else 0)
        assert batcher.queued_nodes == batcher.queued_tokens == batcher.requests == 0
        assert not batcher.overload.goes_on(monotonic())  # for want of others, at once

    run(ask, BatchOptions(batch_tokens=ONE_A_BATCH, queue_seconds=60.0))
    assert steps.batches == [["first"], ["newer"]]


def test_who_was_passed_and_is_refused_does_not_prolong_the_overload(steps: Steps) -> None:
    """Else callers who ask again at once would be answered in that order for good."""

    async def ask(batcher: Batcher) -> None:
        batcher.tokens_per_second = 1_000.0
        first = asyncio.create_task(asked(batcher, steps, "first"))
        await steps.begins()
        passed = asyncio.create_task(asked(batcher, steps, "passed"))
        newer = [asyncio.create_task(asked(batcher, steps, text)) for text in ("newer", "newest")]
        await asyncio.sleep(0)
        at = monotonic()
        for seconds in (90, 45, 0):
            batcher.overload.refused(at - seconds)
        batcher.queue[0][0].entered -= 60
        steps.go_on(1)
        await first
        await steps.begins()
        assert batcher.overload.last == at
        steps.go_on()
        await asyncio.gather(*newer)
        with pytest.raises(OverloadedError, match="too many newer"):
            await passed

    run(ask, BatchOptions(batch_tokens=ONE_A_BATCH, queue_seconds=60.0))


def test_an_end_refuses_what_has_begun_and_what_has_not(steps: Steps) -> None:
    async def ask(batcher: Batcher) -> None:
        tasks = [asyncio.create_task(asked(batcher, steps, "first", "second", "third"))]
        await steps.begins()
        tasks.append(asyncio.create_task(asked(batcher, steps, "fourth")))
        await asyncio.sleep(0)
        steps.go_on()
        await batcher.close()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(answer, Exception) for answer in answers)
        assert batcher.queued_nodes == batcher.queued_tokens == 0

    run(ask, BatchOptions(batch_tokens=ONE_A_BATCH))


def test_a_spell_is_over_when_no_refusal_comes_for_a_while() -> None:
    overload = Overload(5.0)
    assert not overload.goes_on(0.0)
    overload.refused(10.0)
    assert overload.goes_on(15.0)
    assert not overload.lasts(15.0)
    overload.refused(14.0)
    assert overload.lasts(16.0)
    assert not overload.goes_on(19.5)
    assert not overload.lasts(19.5)
    overload.refused(20.0)
    assert not overload.lasts(21.0)
    overload.ended()
    assert not overload.goes_on(21.0)


def test_two_full_batches_are_the_longest_wait_of_who_was_passed() -> None:
    assert longest_wait(4_096, 1_024.0) == 8.0
    assert longest_wait(4_096, 1e9) == SOON
    assert longest_wait(4_096, 0.0) == float("inf")
