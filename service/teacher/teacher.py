"""The teacher on call: cached answers, few questions at a time, and none while it is down."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import msgspec

from service.averages import running_mean
from service.cache import Cache, SingleFlight
from service.errors import TeacherBusyError, TeacherError
from service.inference.deadlines import hopeless_wait
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
    requests: int = 250  # that wait; each holds a connection, which look-ups need, too
    breaker_failures: int = 5  # in a row, after which it is left alone
    breaker_seconds: float = 10.0
    hang_seconds: float = 24.0  # after which one that was given up has failed


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """What it says, and whether it was asked for that.

    Attributes:
        joined: an equal question ran already, and its answer is this one's, too.
    """

    opinion: Opinion
    cached: bool
    milliseconds: float
    joined: bool = False

    @property
    def free(self) -> bool:
        """Nothing was asked for it."""
        return self.cached or self.joined


HANGS = "the teacher gave no answer for as long as requests wait for it"
Identity = Callable[[], Awaitable[str]]


async def untold() -> str:
    """Of a teacher that tells nothing of itself."""
    return ""


class Teacher:
    """Asks backends of one server, politely.

    Args:
        identity: what the teacher tells of itself; another one's answers are none of its.
    """

    def __init__(
        self,
        cache: Cache,
        options: TeacherOptions,
        metrics: Metrics,
        identity: Identity = untold,
    ) -> None:
        self.identity = identity
        self.cache = cache
        self.options = options
        self.metrics = metrics
        self.breaker = Breaker(options.breaker_failures, options.breaker_seconds)
        self.turns = asyncio.Semaphore(options.concurrency)
        self.waiting = 0
        self.seconds = 0.0  # of one question lately; 0 where it is not known yet
        self.flights: SingleFlight[Outcome] = SingleFlight()
        self.log = RareLog(logger)

    async def ask(
        self, backend: TeacherBackend, prompt: Prompt, label_names: Sequence[str], busy: str = ""
    ) -> TeacherAnswer:
        """Answers from the cache, or asks; an equal question that runs already is not asked twice.

        Args:
            busy: why it is not to be asked now, where it would have to be.

        Raises:
            TeacherError: no usable answer, or the teacher is being left alone.
            TeacherBusyError: too many questions wait already, or it is busy.
        """
        started = perf_counter()
        asked = backend.name, await self.identity(), prompt.text
        key = hashlib.sha256("\0".join(asked).encode()).hexdigest()
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
            raise type(outcome)(str(outcome))  # an own one: several may wait for this answer
        return TeacherAnswer(outcome, False, 1_000 * (perf_counter() - started), joined)

    def busy(self) -> str:
        """Why the request that runs would wait in vain for its turn; empty where it may.

        Its own questions do not count: how many of them can be answered in time, it finds out.
        """
        if not self.seconds or not self.turns.locked():
            return ""
        turns = self.options.concurrency
        wait = hopeless_wait(self.waiting + turns, turns / self.seconds)
        return "" if wait is None else f"about {wait:.0f} s of questions wait for the teacher"

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
            raise TeacherBusyError("too many questions wait for the teacher")
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
        """Asks, and tells breaker, metrics and log how it went.

        Raises:
            TeacherError: see `ask`.
        """
        permit = self.breaker.admit()
        if permit is None:
            self.metrics.teacher_answers.add("left_alone")
            raise TeacherError("the teacher failed repeatedly and is left alone for a while")
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
        except Exception as error:  # the boundary to a foreign server: no answer of it breaks ours
            self.breaker.failed(permit)
            self.metrics.teacher_answers.add("failed")
            logger.exception("the teacher's answer cannot be read")
            raise TeacherError("the teacher's answer cannot be read") from error
        self.breaker.succeeded(permit)
        self.count(perf_counter() - started)
        return opinion

    def count(self, seconds: float) -> None:
        """Of an answer."""
        self.metrics.teacher_answers.add("answered")
        self.metrics.teacher_seconds.observe(seconds)
        self.seconds = running_mean(self.seconds, seconds)

    async def close(self) -> None:
        """Gives up what runs; the backends are whoever's they are."""
        await self.flights.close()


Outcome = Opinion | TeacherError | TeacherBusyError


class Remembered(msgspec.Struct):
    """An opinion as the cache holds it."""

    label: str
    scores: Mapping[str, float] | None


DECODER = msgspec.json.Decoder(Remembered)


def to_bytes(opinion: Opinion) -> bytes:
    return msgspec.json.encode(Remembered(opinion.label, opinion.scores))


def from_bytes(value: bytes, label_names: Sequence[str]) -> Opinion | None:
    """None where a cache holds something else than it was given."""
    try:
        known = DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if known.label not in label_names:
        return None
    if known.scores is not None and problem_of_scores(known.scores, known.label, label_names):
        return None
    return Opinion(known.label, known.scores)
