"""The nodes of a request put to the teacher, in the foreground or in its shadow."""

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
from service.teacher.questions import Questions
from service.teacher.teacher import Teacher, TeacherAnswer
from service.telemetry.metrics import Metrics
from understudy.bundle import Manifest
from understudy.engine.engine import Engine
from understudy.engine.errors import NodeError
from understudy.engine.requests import Resolution
from understudy.graph.prompts import Prompt

MAX_SHADOWS = 32  # requests that are checked at a time; more go unchecked
PROMPTS_A_TURN = 32  # written at a time, so that requests take turns and a left one soon stops


@dataclass(frozen=True, slots=True)
class TeacherSetup:
    """How a bundle's teacher is asked: the questions, and the backend that answers them."""

    questions: Questions
    backend: TeacherBackend


class Asking:
    """Asks about several nodes at once, and checks a share of the student's answers.

    Attributes:
        setups: of each engine that is served or still answers requests that began with it, so
            that nobody is asked about one bundle in another's words, or for its labels.

    Args:
        setup_of: how a bundle's teacher is asked; its backends are closed here.
        shadow_share: of the student's answers, 0 to 1, that the teacher checks.
    """

    def __init__(
        self,
        teacher: Teacher,
        setup_of: Callable[[Manifest], TeacherSetup],
        shadow_share: float,
        metrics: Metrics,
    ) -> None:
        self.teacher = teacher
        self.setup_of = setup_of
        self.setups: WeakKeyDictionary[Engine, TeacherSetup] = WeakKeyDictionary()
        self.backends: dict[int, TeacherBackend] = {}  # by their `id`
        self.checked_by: Counter[int] = Counter()  # shadows by the `id` of their backend
        self.closing: set[asyncio.Task[None]] = set()
        self.shadow_share = shadow_share
        self.metrics = metrics
        self.requests = 0  # that wait
        self.shadows: set[asyncio.Task[None]] = set()
        self.shadow_writes = asyncio.Lock()
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="prompts")

    def attach(self, engine: Engine) -> None:
        """Prepares questions about an engine's graph; raises as `setup_of` does.

        Backends that no engine asks any more are closed, so that those of replaced bundles do not
        add up.
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
        """The lines in which questions about an attached engine's graph describe the labels."""
        return self.setups[engine].questions.options.prompts.label_descriptions

    async def ask(
        self,
        resolution: Resolution,
        engine: Engine,
        positions: Collection[int] | None = None,
        seconds: float | None = None,
    ) -> dict[int, TeacherAnswer | NodeError]:
        """Position → answer or error, for the good nodes, or some of them.

        Args:
            seconds: after which what is not answered is an error; None: it is waited for.
        """
        wanted = resolution.positions if positions is None else positions
        if self.requests >= self.teacher.options.requests:
            refusal: NodeError = TeacherBusyError("too many requests wait for the teacher")
            return dict.fromkeys(wanted, refusal)
        self.requests += 1
        try:
            return await self.asked(resolution, engine, wanted, seconds)
        finally:
            self.requests -= 1

    async def asked(
        self,
        resolution: Resolution,
        engine: Engine,
        wanted: Collection[int],
        seconds: float | None,
    ) -> dict[int, TeacherAnswer | NodeError]:
        """See `ask`."""
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
        """The questions about the wanted good nodes; they are written off the event loop."""
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
        """Has a sample of the student's answers checked in the background."""
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
        """Asks one by one, so that those who wait for the teacher go first."""
        label_names, backend = engine.manifest.label_names, self.setups[engine].backend
        async with self.shadow_writes:
            questions = [item async for item in self.prompts(resolution, engine, labels)]
        with self.kept(backend):
            del resolution, engine  # the teacher may take long: no version is kept for it
            for position, prompt in questions:
                answer = await self.answer_or_error(backend, prompt, label_names)
                if isinstance(answer, TeacherAnswer):
                    agree = answer.opinion.label == labels[position]
                    self.metrics.agreement.add("agree" if agree else "differ")
                else:
                    self.metrics.agreement.add("failed")

    @contextmanager
    def kept(self, backend: TeacherBackend) -> Iterator[None]:
        """Nobody closes it meanwhile, though its engine may be gone."""
        self.checked_by[id(backend)] += 1
        try:
            yield
        finally:
            self.checked_by[id(backend)] -= 1
            self.checked_by += Counter()  # without those that are at 0

    async def answer_or_error(
        self,
        backend: TeacherBackend,
        prompt: Prompt,
        label_names: Sequence[str],
        busy: str = "",
        until: float | None = None,
    ) -> TeacherAnswer | NodeError:
        """See `Teacher.ask`; at a monotonic second it has failed."""
        try:
            async with asyncio.timeout(None if until is None else until - monotonic()):
                return await self.teacher.ask(backend, prompt, label_names, busy)
        except TimeoutError:
            return TeacherError("the teacher gave no answer in time")
        except (TeacherError, TeacherBusyError) as error:
            return error

    async def close(self) -> None:
        """Gives up what is in the background."""
        for task in list(self.shadows):
            task.cancel()
        await asyncio.gather(*self.shadows, return_exceptions=True)
        self.writer.shutdown(wait=False, cancel_futures=True)
        await self.teacher.close()
        await asyncio.gather(*self.closing)
        for backend in self.backends.values():
            await backend.close()
