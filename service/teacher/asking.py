"""Asks the teacher about the nodes of a request, in the foreground or as a background check."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from weakref import WeakKeyDictionary

from service.errors import TeacherBusyError, TeacherError
from service.messages import Prediction
from service.teacher.client import TeacherBackend
from service.teacher.costs import Prices
from service.teacher.questions import Questions
from service.teacher.teacher import Teacher, TeacherAnswer
from service.telemetry.metrics import Metrics
from understudy.bundle import Manifest
from understudy.engine.engine import Engine
from understudy.engine.errors import NodeError
from understudy.engine.requests import Resolution
from understudy.graph.prompts import Prompt

MAX_SHADOWS = 32  # requests checked at a time; further ones are not checked
PROMPTS_A_TURN = 32  # prompts written at a time, so that requests alternate and can be cancelled


@dataclass(frozen=True, slots=True)
class TeacherSetup:
    """How a bundle's teacher is asked: its prompts, and the backend that answers them."""

    questions: Questions
    backend: TeacherBackend


class Asking:
    """Asks about several nodes at once, and checks a share of the student's answers.

    Attributes:
        setups: of each engine that is served or still answers earlier requests, so that prompts
            always have the wording and labels of their own bundle.

    Args:
        setup_of: makes a bundle's setup; this class closes the backends.
        shadow_share: share of the student's answers, 0 to 1, that the teacher checks.
        prices: of the teacher's tokens.
    """

    def __init__(
        self,
        teacher: Teacher,
        setup_of: Callable[[Manifest], TeacherSetup],
        shadow_share: float,
        metrics: Metrics,
        prices: Prices,
    ) -> None:
        self.teacher = teacher
        self.setup_of = setup_of
        self.prices = prices
        self.setups: WeakKeyDictionary[Engine, TeacherSetup] = WeakKeyDictionary()
        self.backends: dict[int, TeacherBackend] = {}  # by their `id`
        self.checked_by: Counter[int] = Counter()  # running checks, by the `id` of their backend
        self.closing: set[asyncio.Task[None]] = set()
        self.shadow_share = shadow_share
        self.metrics = metrics
        self.requests = 0  # waiting
        self.shadows: set[asyncio.Task[None]] = set()
        self.shadow_writes = asyncio.Lock()
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="prompts")

    def attach(self, engine: Engine) -> None:
        """Prepares prompts about an engine's graph; raises as `setup_of` does.

        Closes backends that no engine uses any more, so that those of replaced bundles do not
        accumulate.
        """
        setup = self.setup_of(engine.manifest)
        self.setups[engine] = setup
        self.backends[id(setup.backend)] = setup.backend
        used = {id(setup.backend) for setup in self.setups.values()} | self.checked_by.keys()
        for name in self.backends.keys() - used:
            task = asyncio.create_task(self.backends.pop(name).close())
            self.closing.add(task)
            task.add_done_callback(self.closing.discard)

    def descriptions(self, engine: Engine) -> tuple[tuple[str, str], ...]:
        """Returns the label descriptions in prompts about an attached engine's graph."""
        return self.setups[engine].questions.options.prompts.label_descriptions

    async def ask(
        self,
        resolution: Resolution,
        engine: Engine,
        positions: Collection[int] | None = None,
        seconds: float | None = None,
    ) -> dict[int, TeacherAnswer | NodeError]:
        """Asks about valid nodes, or some of them; returns answers and errors by position.

        Args:
            seconds: after which missing answers become errors; None: no limit.
        """
        wanted = resolution.positions if positions is None else positions
        if self.requests >= self.teacher.options.requests:
            refusal: NodeError = TeacherBusyError("too many requests wait for the teacher")
            return dict.fromkeys(wanted, refusal)
        self.requests += 1
        try:
            return await self.ask_all(resolution, engine, wanted, seconds)
        finally:
            self.requests -= 1

    async def ask_all(
        self,
        resolution: Resolution,
        engine: Engine,
        wanted: Collection[int],
        seconds: float | None,
    ) -> dict[int, TeacherAnswer | NodeError]:
        """Asks without the limit of requests; see `ask`."""
        busy, backend = self.teacher.busy(), self.setups[engine].backend
        labels = engine.manifest.label_names
        until = None if seconds is None else monotonic() + seconds
        tasks: dict[int, asyncio.Task[TeacherAnswer | NodeError]] = {}
        async with asyncio.TaskGroup() as group:  # all are cancelled together
            async for position, prompt in self.prompts(resolution, engine, wanted):
                asking = self.answer_or_error(backend, prompt, labels, busy, until)
                tasks[position] = group.create_task(asking)
        return {position: task.result() for position, task in tasks.items()}

    async def prompts(
        self, resolution: Resolution, engine: Engine, wanted: Collection[int]
    ) -> AsyncIterator[tuple[int, Prompt]]:
        """Yields the prompts of the wanted valid nodes, written off the event loop."""
        loop, positions = asyncio.get_running_loop(), list(wanted)
        write = self.setups[engine].questions.prompts
        for start in range(0, len(positions), PROMPTS_A_TURN):
            turn = positions[start : start + PROMPTS_A_TURN]
            written = await loop.run_in_executor(self.writer, write, resolution, turn)
            for item in written.items():
                yield item

    def shadow(
        self, resolution: Resolution, engine: Engine, predictions: Sequence[Prediction]
    ) -> None:
        """Checks a sample of the student's answers in the background."""
        if not self.shadow_share:
            return
        sample = {
            p.index: p.label
            for p in predictions
            if p.label is not None and random.random() < self.shadow_share
        }
        if sample and len(self.shadows) < MAX_SHADOWS:
            task = asyncio.create_task(self.check(resolution, engine, sample))
            self.shadows.add(task)
            task.add_done_callback(self.shadows.discard)

    async def check(self, resolution: Resolution, engine: Engine, labels: dict[int, str]) -> None:
        """Asks about one node after the other, so that waiting requests go first."""
        label_names, backend = engine.manifest.label_names, self.setups[engine].backend
        async with self.shadow_writes:
            questions = [item async for item in self.prompts(resolution, engine, labels)]
        with self.kept(backend):
            del resolution, engine  # the teacher may be slow: do not keep the version in memory
            for position, prompt in questions:
                answer = await self.answer_or_error(backend, prompt, label_names)
                if isinstance(answer, TeacherAnswer):
                    agree = answer.opinion.label == labels[position]
                    self.metrics.agreement.add("agree" if agree else "differ")
                else:
                    self.metrics.agreement.add("failed")

    @contextmanager
    def kept(self, backend: TeacherBackend) -> Iterator[None]:
        """Prevents closing the backend meanwhile, even if its engine is gone."""
        self.checked_by[id(backend)] += 1
        try:
            yield
        finally:
            self.checked_by[id(backend)] -= 1
            self.checked_by += Counter()  # drops entries at 0

    async def answer_or_error(
        self,
        backend: TeacherBackend,
        prompt: Prompt,
        label_names: Sequence[str],
        busy: str = "",
        until: float | None = None,
    ) -> TeacherAnswer | NodeError:
        """Asks as `Teacher.ask` does, with errors as results; `until` is in monotonic seconds."""
        try:
            async with asyncio.timeout(None if until is None else until - monotonic()):
                return await self.teacher.ask(backend, prompt, label_names, busy)
        except TimeoutError:
            return TeacherError("the teacher did not answer in time")
        except (TeacherError, TeacherBusyError) as error:
            return error

    async def close(self) -> None:
        """Cancels background work, and closes the backends."""
        for task in list(self.shadows):
            task.cancel()
        await asyncio.gather(*self.shadows, return_exceptions=True)
        self.writer.shutdown(wait=False, cancel_futures=True)
        await self.teacher.close()
        await asyncio.gather(*self.closing)
        for backend in self.backends.values():
            await backend.close()
