"""The teacher on call: cached answers, few questions at a time, and none while it is down."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from graph.prompts import Prompt
from service.caches.cache import Cache
from service.errors import TeacherBusyError, TeacherError
from service.metrics import Metrics
from service.teacher.backend import Opinion, TeacherBackend
from service.teacher.breaker import Breaker


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    concurrency: int = 8  # questions at a time
    waiting: int = 2_048  # questions that wait for their turn; more are refused
    breaker_failures: int = 5  # in a row, after which it is left alone
    breaker_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    opinion: Opinion
    cached: bool
    milliseconds: float


class Teacher:
    """Asks a backend, politely."""

    def __init__(
        self, backend: TeacherBackend, cache: Cache, options: TeacherOptions, metrics: Metrics
    ) -> None:
        self.backend = backend
        self.cache = cache
        self.options = options
        self.metrics = metrics
        self.breaker = Breaker(options.breaker_failures, options.breaker_seconds)
        self.turns = asyncio.Semaphore(options.concurrency)
        self.waiting = 0

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> TeacherAnswer:
        """Answers from the cache, or asks.

        Raises:
            TeacherError: no usable answer, or the teacher is being left alone.
            TeacherBusyError: too many questions wait already.
        """
        started = perf_counter()
        key = hashlib.sha256(f"{self.backend.name}\0{prompt.text}".encode()).hexdigest()
        known = (await self.cache.get([key])).get(key)
        if known is not None and (opinion := from_bytes(known, label_names)) is not None:
            self.metrics.teacher_answers.add("cached")
            return TeacherAnswer(opinion, True, 1_000 * (perf_counter() - started))
        opinion = await self.wait_and_ask(prompt, label_names)
        await self.cache.put({key: to_bytes(opinion)})
        return TeacherAnswer(opinion, False, 1_000 * (perf_counter() - started))

    async def wait_and_ask(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        if self.waiting >= self.options.waiting:
            raise TeacherBusyError("too many questions wait for the teacher")
        self.waiting += 1
        try:
            await self.turns.acquire()
        finally:
            self.waiting -= 1
        try:
            return await self.guarded(prompt, label_names)
        finally:
            self.turns.release()

    async def guarded(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        if not self.breaker.admit():
            self.metrics.teacher_answers.add("left_alone")
            raise TeacherError("the teacher failed repeatedly and is left alone for a while")
        started = perf_counter()
        learnt = False
        try:
            opinion = await self.backend.ask(prompt, label_names)
            self.breaker.succeeded()
            learnt = True
        except TeacherError:
            self.breaker.failed()
            learnt = True
            self.metrics.teacher_answers.add("failed")
            raise
        finally:
            if not learnt:
                self.breaker.gave_up()
        self.metrics.teacher_answers.add("answered")
        self.metrics.teacher_seconds.observe(perf_counter() - started)
        return opinion

    async def close(self) -> None:
        await self.backend.close()


def to_bytes(opinion: Opinion) -> bytes:
    scores = None if opinion.scores is None else dict(opinion.scores)
    return json.dumps({"label": opinion.label, "scores": scores}).encode()


def from_bytes(value: bytes, label_names: Sequence[str]) -> Opinion | None:
    """None where a cache holds something else than it was given."""
    try:
        entry = json.loads(value)
        label, scores = entry["label"], entry["scores"]
    except (ValueError, KeyError, TypeError):
        return None
    if label not in label_names or not (scores is None or isinstance(scores, dict)):
        return None
    return Opinion(label, scores)
