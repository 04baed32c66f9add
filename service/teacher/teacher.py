"""Asks the teacher: answers are cached, concurrency is limited, and a failing teacher is spared."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import msgspec

from service.averages import running_mean
from service.cache import Cache
from service.errors import TeacherBusyError, TeacherError
from service.inference.deadlines import hopeless_wait
from service.single_flight import SingleFlight
from service.teacher.breaker import Breaker
from service.teacher.client import Opinion, TeacherBackend
from service.telemetry.logs import RareLog
from service.telemetry.metrics import Metrics
from understudy.endpoint.scores import problem_of_scores
from understudy.graph.prompts import Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    concurrency: int = 8  # questions at a time
    waiting: int = 2_048  # questions that wait for their turn; more are refused
    requests: int = 250  # waiting; each holds a connection, which look-ups need, too
    breaker_failures: int = 5  # failures in a row, after which the teacher is not asked
    breaker_seconds: float = 10.0
    hang_seconds: float = 24.0  # a cancelled question counts as a failure after this long


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """The teacher's answer, and where it comes from.

    Attributes:
        joined: whether an equal question was already running and shared its answer.
    """

    opinion: Opinion
    cached: bool
    milliseconds: float
    joined: bool = False

    @property
    def free(self) -> bool:
        """Whether no question was sent for it."""
        return self.cached or self.joined


HANGS = "the teacher did not answer within the time that requests wait for it"
Identity = Callable[[], Awaitable[str]]


async def unidentified() -> str:
    """Returns the identity of a teacher that reports none."""
    return ""


class Teacher:
    """Asks the backends of one server, within limits.

    Args:
        identity: reports the teacher's identity, which separates cached answers of different ones.
    """

    def __init__(
        self,
        cache: Cache,
        options: TeacherOptions,
        metrics: Metrics,
        identity: Identity = unidentified,
    ) -> None:
        self.identity = identity
        self.cache = cache
        self.options = options
        self.metrics = metrics
        self.breaker = Breaker(options.breaker_failures, options.breaker_seconds)
        self.turns = asyncio.Semaphore(options.concurrency)
        self.waiting = 0
        self.seconds = 0.0  # recent average of a question; 0 if unknown
        self.flights: SingleFlight[Outcome] = SingleFlight()
        self.log = RareLog(logger)

    async def ask(
        self, backend: TeacherBackend, prompt: Prompt, label_names: Sequence[str], busy: str = ""
    ) -> TeacherAnswer:
        """Answers from the cache, or asks; a running equal question is shared.

        Args:
            busy: if not empty, why the teacher must not be asked now.

        Raises:
            TeacherError: there is no usable answer, or the teacher is not being asked.
            TeacherBusyError: too many questions wait already, or it is busy.
        """
        started = perf_counter()
        question = backend.name, await self.identity(), prompt.text
        key = hashlib.sha256("\0".join(question).encode()).hexdigest()
        known = await self.remembered(key, label_names)
        if known is not None:
            self.metrics.teacher_answers.add("cached")
            return TeacherAnswer(known, True, 1_000 * (perf_counter() - started))
        joined = key in self.flights.tasks
        if busy and not joined:
            raise TeacherBusyError(busy)
        outcome = await self.flights.run(
            key, lambda: self.outcome(key, backend, prompt, label_names)
        )
        if isinstance(outcome, TeacherBusyError | TeacherError):
            raise type(outcome)(str(outcome))  # a copy: several callers may share this error
        return TeacherAnswer(outcome, False, 1_000 * (perf_counter() - started), joined)

    def busy(self) -> str:
        """Explains why the running request would wait in vain for its turn; empty if it may wait.

        Its own questions do not count: as many of them as possible are answered in time.
        """
        if not self.seconds or not self.turns.locked():
            return ""
        turns = self.options.concurrency
        wait = hopeless_wait(self.waiting + turns, turns / self.seconds)
        return "" if wait is None else f"questions to the teacher would wait about {wait:.0f} s"

    async def remembered(self, key: str, label_names: Sequence[str]) -> Opinion | None:
        value = (await self.cache.get([key])).get(key)
        if value is None:
            return None
        opinion = from_bytes(value, label_names)
        if opinion is None:
            self.cache.refuse(key)
        return opinion

    async def outcome(
        self, key: str, backend: TeacherBackend, prompt: Prompt, label_names: Sequence[str]
    ) -> "Outcome":
        try:
            opinion = await self.wait_and_ask(backend, prompt, label_names)
        except (TeacherError, TeacherBusyError) as error:
            return error
        await self.cache.put({key: to_bytes(opinion)})
        return opinion

    async def wait_and_ask(
        self, backend: TeacherBackend, prompt: Prompt, label_names: Sequence[str]
    ) -> Opinion:
        if self.waiting >= self.options.waiting:
            raise TeacherBusyError("too many questions to the teacher are waiting")
        self.waiting += 1
        try:
            await self.turns.acquire()
        finally:
            self.waiting -= 1
        try:
            return await self.guarded(backend, prompt, label_names)
        finally:
            self.turns.release()

    async def guarded(
        self, backend: TeacherBackend, prompt: Prompt, label_names: Sequence[str]
    ) -> Opinion:
        """Asks, and reports the outcome to breaker, metrics and log.

        Raises:
            TeacherError: see `ask`.
        """
        permit = self.breaker.admit()
        if permit is None:
            self.metrics.teacher_answers.add("left_alone")
            raise TeacherError("the teacher failed repeatedly and is not asked for a while")
        started = perf_counter()
        try:
            opinion = await backend.ask(prompt, label_names)
        except asyncio.CancelledError:
            if perf_counter() - started >= self.options.hang_seconds:
                self.breaker.failed(permit)
                self.metrics.teacher_answers.add("failed")
                self.log.warning(HANGS, HANGS)
            else:
                self.breaker.gave_up(permit)
            raise
        except TeacherError as error:
            if error.of_question:
                self.breaker.undecided(permit)
            else:
                self.breaker.failed(permit)
            self.metrics.teacher_answers.add("failed")
            self.log.warning(str(error), "%s%s", error, error.reason and f": {error.reason}")
            raise
        except Exception as error:  # boundary to a foreign server: its errors must not break ours
            self.breaker.failed(permit)
            self.metrics.teacher_answers.add("failed")
            logger.exception("the teacher's answer cannot be read")
            raise TeacherError("the teacher's answer cannot be read") from error
        self.breaker.succeeded(permit)
        self.count(perf_counter() - started)
        return opinion

    def count(self, seconds: float) -> None:
        """Counts an answer."""
        self.metrics.teacher_answers.add("answered")
        self.metrics.teacher_seconds.observe(seconds)
        self.seconds = running_mean(self.seconds, seconds)

    async def close(self) -> None:
        """Cancels running questions; does not close the backends."""
        await self.flights.close()


Outcome = Opinion | TeacherError | TeacherBusyError


class Remembered(msgspec.Struct):
    """An opinion in the cache."""

    label: str
    scores: Mapping[str, float] | None


DECODER = msgspec.json.Decoder(Remembered)


def to_bytes(opinion: Opinion) -> bytes:
    return msgspec.json.encode(Remembered(opinion.label, opinion.scores))


def from_bytes(value: bytes, label_names: Sequence[str]) -> Opinion | None:
    """Decodes a cached opinion; None if it is invalid."""
    try:
        known = DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if known.label not in label_names:
        return None
    if known.scores is not None and problem_of_scores(known.scores, known.label, label_names):
        return None
    return Opinion(known.label, known.scores)
