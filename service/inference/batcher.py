"""Runs the unseen nodes of all requests in batches, within a budget of tokens."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from itertools import chain
from time import monotonic

import numpy as np

from service.averages import running_mean
from service.errors import OverloadedError
from service.inference.arrivals import Arrivals
from service.inference.deadlines import hopeless_wait
from service.inference.overload import Overload, longest_wait
from service.telemetry.metrics import Metrics
from understudy.bundle import EncoderInfo
from understudy.engine.engine import Engine
from understudy.engine.errors import InferenceError, NotReadyError
from understudy.engine.requests import Resolution, UnseenNode
from understudy.engine.student import Inference

CHARACTERS_PER_TOKEN = 4  # of English text
NEIGHBORS_PER_TOKEN = 16  # summing a neighbour's row is much cheaper than a token's transformer
TELLING = 0.25  # share of a full batch from which its speed is measured even if nothing waited
LONGEST_RETRY = 30.0  # seconds
QUEUE_FULL, QUEUE_SLOW = "queue_full", "queue_slow"  # reasons of refusals, in metrics


@dataclass(frozen=True, slots=True)
class BatchOptions:
    batch_tokens: int = 4_096  # of one batch; a single larger node runs alone
    window_seconds: float = 0.002  # longest wait for a batch as large as the last one
    queue_tokens: int = 65_536  # waiting; more is refused, unless nothing waits
    queue_seconds: float = 5.0  # estimated wait, if it is longer than one batch
    requests: int = 250  # waiting; each holds a connection, which look-ups need, too


@dataclass(frozen=True, slots=True)
class Batched(Inference):
    """The result of one node, or of a request, whose times are the maxima of its nodes.

    Shapes:
        logits: float32 [classes] of one node, [N, classes] of a request
        hidden: float32 [hidden], or [N, hidden]

    Attributes:
        computing_ms: a node's share of its batch's computing time, by tokens; of a request the sum.
    """

    queue_ms: float
    computing_ms: float


@dataclass(slots=True, eq=False)
class Entry:
    """A waiting node, with the engine and the state that resolved it."""

    engine: Engine
    resolution: Resolution
    node: UnseenNode
    tokens: int
    entered: float  # monotonic seconds
    row: asyncio.Future[Batched]

    def fail(self, error: Exception) -> None:
        """Sets a copy of the error, because raising it adds to its traceback."""
        if not self.row.done():
            own = copy(error)
            own.__cause__ = error.__cause__
            self.row.set_exception(own)


class Batcher:
    """One worker and one thread; every entry gets a row or an error in any case."""

    def __init__(self, options: BatchOptions, metrics: Metrics) -> None:
        self.options = options
        self.metrics = metrics
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self.queue: deque[deque[Entry]] = deque()  # the nodes of each request, in order of arrival
        self.begun: deque[Entry] = deque()  # the remaining nodes of the request that runs next
        self.queued_nodes = 0  # in both
        self.queued_tokens = 0
        self.overload = Overload(options.queue_seconds)
        self.running_tokens = 0
        self.requests = 0  # waiting or running
        self.left = False  # whether callers have left whose entries are still queued
        self.company = 1  # nodes of the last batch, and those that waited when it ended
        self.tokens_per_second = 0.0
        self.arrived = asyncio.Event()
        self.worker: asyncio.Task[None] | None = None
        self.closed = False
        self.arrivals = Arrivals()
        self.on_failure: Callable[[], None] = lambda: None

    async def infer(self, engine: Engine, resolution: Resolution) -> Batched:
        """Runs the unseen nodes of a request, batched with those of others.

        The entries of a cancelled caller are dropped before they run.

        Raises:
            OverloadedError: see `admit`.
            NotReadyError: the service is ending.
            InferenceError: the networks gave no usable answer.
        """
        waiting = deque(self.enter(engine, resolution))
        rows: list[Batched] = []
        self.requests += 1
        try:
            while waiting:  # no variable for an entry: its error will reference this frame
                rows.append(await waiting.popleft().row)
        except asyncio.CancelledError:
            self.left = True
            raise
        finally:
            self.requests -= 1
            give_up(waiting)
        return Batched(
            np.stack([row.logits for row in rows]),
            np.stack([row.hidden for row in rows]),
            max(row.encode_ms for row in rows),
            max(row.inference_ms for row in rows),
            max(row.queue_ms for row in rows),
            sum(row.computing_ms for row in rows),
        )

    def enter(self, engine: Engine, resolution: Resolution) -> list[Entry]:
        """Queues a request's nodes, all or none."""
        costs = [token_cost(node, engine.manifest.encoder) for node in resolution.unseen]
        self.admit(sum(costs))
        loop, now = asyncio.get_running_loop(), monotonic()
        entries = [
            Entry(engine, resolution, node, tokens, now, loop.create_future())
            for node, tokens in zip(resolution.unseen, costs, strict=True)
        ]
        self.queue.append(deque(entries))
        self.queued_nodes += len(entries)
        self.queued_tokens += sum(costs)
        self.arrived.set()
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self.work(), name="batcher")
        return entries

    def is_idle(self) -> bool:
        """Whether nothing waits or runs, and new nodes are taken."""
        return not (self.requests or self.running_tokens or self.closed)

    def admit(self, tokens: int) -> None:
        """Refuses a request of so many tokens if too much waits before it.

        Raises:
            NotReadyError: the service is ending.
            OverloadedError: too many requests or tokens wait, or their estimated time exceeds the
                limit or this request's time.
        """
        if self.closed:
            raise NotReadyError("the service is shutting down")
        if self.left:
            self.drop_left()
        options, rate = self.options, self.tokens_per_second
        full = self.queued_nodes and self.queued_tokens + tokens > options.queue_tokens
        if full or self.requests >= options.requests:
            raise self.refusal(QUEUE_FULL, "too many unseen nodes are waiting")
        before = self.queued_tokens + self.running_tokens
        # What fits into one batch with the running one is not a queue, however slow batches were.
        if rate and before > options.batch_tokens and before / rate > options.queue_seconds:
            seconds, longest = before / rate, options.queue_seconds
            what = f"unseen nodes would wait about {seconds:.1f} s, more than {longest:g} s"
            raise self.refusal(QUEUE_SLOW, what)
        if self.overload.goes_on(monotonic()):  # newest first: the others let this one pass
            before = self.running_tokens + min(self.queued_tokens, options.batch_tokens)
        wait = hopeless_wait(before + tokens, rate) if before else None
        if wait is not None:
            what = f"the answer would take about {wait:.1f} s, longer than this request may take"
            raise OverloadedError(what, self.retry_after(), QUEUE_SLOW)

    def drop_left(self) -> None:
        """Removes entries whose callers left, so that they block no others while a batch runs."""
        self.left = False
        queue, self.queue = self.queue, deque()
        for entries in (self.begun, *queue):
            if entries and entries[-1].row.done():  # the last entry is answered last
                self.metrics.abandoned.add(amount=len(entries))
                for entry in entries:
                    self.leave_queue(entry)
                entries.clear()
            elif entries is not self.begun:
                self.queue.append(entries)

    def refusal(self, reason: str, message: str) -> OverloadedError:
        """Notes that a request is refused because of the load, and makes its error."""
        self.overload.refused(monotonic())
        return OverloadedError(message, self.retry_after(), reason)

    def retry_after(self) -> float:
        """Estimates the seconds until what waits now is done."""
        if not self.tokens_per_second:
            return 1.0
        return min(max(self.queued_tokens / self.tokens_per_second, 1.0), LONGEST_RETRY)

    async def work(self) -> None:
        """Forms batches and runs them, until cancelled."""
        while True:
            await self.gather_company()
            self.refuse_passed()
            batch = self.take()
            if batch:
                await self.run(batch)
                self.company = len(batch) + self.queued_nodes
            del batch  # otherwise its graph version would be kept until the next batch

    async def gather_company(self) -> None:
        """Waits for a first entry; then, if the last batch had several, for a short window."""
        while not self.queued_nodes:
            self.overload.ended()
            self.arrived.clear()
            await self.arrived.wait()
        window_end = monotonic() + self.options.window_seconds
        while self.queued_nodes < self.company and self.queued_tokens < self.options.batch_tokens:
            left = window_end - monotonic()
            if left <= 0:
                return
            self.arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.arrived.wait(), left)

    def refuse_passed(self) -> None:
        """During a lasting overload, refuses requests that newer ones have passed.

        These refusals do not prolong the overload, because the order causes them, not the load.
        """
        now = monotonic()
        if not self.overload.lasts(now):
            return
        earliest = now - longest_wait(self.options.batch_tokens, self.tokens_per_second)
        while self.queue and self.queue[0][0].entered < earliest:
            passed = self.queue.popleft()
            for entry in passed:
                self.leave_queue(entry)
            if passed[0].row.done():
                self.metrics.abandoned.add(amount=len(passed))
            else:  # the caller waits for the first row, and for no other after its error
                what = "too many newer unseen nodes are waiting"
                refusal = OverloadedError(what, self.retry_after(), QUEUE_SLOW)
                passed[0].row.set_exception(refusal)

    def take(self) -> list[Entry]:
        """Takes the next entries of one state that fit the budget; abandoned ones are dropped."""
        batch: list[Entry] = []
        tokens = 0
        while entries := self.next_request():
            entry = entries[0]
            if entry.row.done():
                self.metrics.abandoned.add()
            elif batch and (
                entry.resolution.state is not batch[0].resolution.state
                or tokens + entry.tokens > self.options.batch_tokens
            ):
                break
            else:
                batch.append(entry)
                tokens += entry.tokens
            self.leave_queue(entries.popleft())
        return batch

    def next_request(self) -> deque[Entry]:
        """Returns the rest of the request that was begun, or a new one; empty if there is none.

        A begun request is finished first; otherwise newer requests could delay each other forever.
        """
        if not self.begun and self.queue:
            newest_first = self.overload.goes_on(monotonic())
            self.begun = self.queue.pop() if newest_first else self.queue.popleft()
        return self.begun

    def leave_queue(self, entry: Entry) -> None:
        self.queued_nodes -= 1
        self.queued_tokens -= entry.tokens

    async def run(self, batch: Sequence[Entry]) -> None:
        """Runs one batch on the thread and resolves every entry; raises nothing."""
        started = monotonic()
        first = batch[0]
        together = Resolution(first.resolution.state, unseen=[entry.node for entry in batch])
        error: Exception = InferenceError("the inference was cancelled")
        self.running_tokens = sum(entry.tokens for entry in batch)
        tells = self.tells_rate()
        try:
            loop = asyncio.get_running_loop()
            inference = await loop.run_in_executor(self.thread, first.engine.infer, together)
            self.resolve(batch, inference, started)
            if tells:
                self.learn_rate(self.running_tokens, monotonic() - started)
        except Exception as failure:  # noqa: BLE001 - the worker's boundary: it continues
            error = failure
            self.on_failure()
        finally:
            self.running_tokens = 0
            for entry in batch:
                entry.fail(error)
            del error  # it references this frame: the cycle would delay freeing both

    def tells_rate(self) -> bool:
        """Whether the current batch is representative of the speed of a full queue.

        A few nodes alone take longer per token than a full batch.
        """
        return self.queued_nodes > 0 or self.running_tokens >= TELLING * self.options.batch_tokens

    def learn_rate(self, tokens: int, seconds: float) -> None:
        rate = tokens / max(seconds, 1e-6)
        self.tokens_per_second = running_mean(self.tokens_per_second, rate)

    def resolve(self, batch: Sequence[Entry], inference: Inference, started: float) -> None:
        if len(inference.logits) != len(batch):
            raise InferenceError(f"{len(inference.logits)} answers for {len(batch)} nodes")
        took = inference.encode_ms, inference.inference_ms
        tokens = sum(entry.tokens for entry in batch)
        a_token = sum(took) / tokens
        rows = zip(batch, inference.logits, inference.hidden, strict=True)
        for entry, logits, hidden in rows:
            waited = started - entry.entered
            self.metrics.queue_seconds.observe(waited)
            if not entry.row.done():  # its caller may have left meanwhile
                times = *took, 1_000 * waited, a_token * entry.tokens
                entry.row.set_result(Batched(logits, hidden, *times))
        self.count(len(batch), tokens, inference)

    def count(self, nodes: int, tokens: int, inference: Inference) -> None:
        self.metrics.encode_seconds.observe(inference.encode_ms / 1_000)
        self.metrics.inference_seconds.observe(inference.inference_ms / 1_000)
        self.metrics.batch_nodes.observe(nodes)
        self.metrics.batch_tokens.observe(tokens)

    async def probe(self, engine: Engine) -> None:
        """Runs an engine's probe on the batch thread, and checks that the worker runs.

        Raises:
            InferenceError: it failed.
        """
        if self.closed:
            raise InferenceError("the service is shutting down")
        if self.worker is not None and self.worker.done():
            raise InferenceError("the batch worker ended")
        await asyncio.get_running_loop().run_in_executor(self.thread, engine.probe)

    async def close(self) -> None:
        """Refuses new entries, fails the queued ones, waits for the running batch."""
        self.closed = True
        if self.worker is not None:
            self.worker.cancel()
            with suppress(asyncio.CancelledError):
                await self.worker
        for entry in chain(self.begun, *self.queue):
            entry.fail(NotReadyError("the service is shutting down"))
        self.queue.clear()
        self.begun.clear()
        self.queued_nodes = 0
        self.queued_tokens = 0
        await asyncio.to_thread(self.thread.shutdown, cancel_futures=True)


def give_up(entries: deque[Entry]) -> None:
    """Discards entries whose caller left or already has an error."""
    for entry in entries:
        if not entry.row.cancel() and not entry.row.cancelled():
            entry.row.exception()  # seen
    entries.clear()


def token_cost(node: UnseenNode, encoder: EncoderInfo) -> int:
    """Estimates a node's cost in tokens of its encoder; at least 1."""
    longest = encoder.max_tokens or encoder.max_characters // CHARACTERS_PER_TOKEN
    tokens = min(len(node.text) // CHARACTERS_PER_TOKEN + 2, max(longest, 2))
    return tokens + len(node.neighbors) // NEIGHBORS_PER_TOKEN
