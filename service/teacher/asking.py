"""The nodes of a request put to the teacher, in the foreground or in its shadow."""

import asyncio
import random
from collections.abc import Collection, Coroutine, Sequence
from typing import Any

from service.engine import Engine
from service.errors import NodeError, TeacherBusyError, TeacherError
from service.messages import Prediction
from service.metrics import Metrics
from service.resolution import Resolution
from service.teacher.questions import Questions
from service.teacher.teacher import Teacher, TeacherAnswer

MAX_SHADOWS = 32  # answers that are checked at a time; more go unchecked


class Asking:
    """Asks about several nodes at once, and checks a share of the student's answers."""

    def __init__(
        self, teacher: Teacher, questions: Questions, shadow_share: float, metrics: Metrics
    ) -> None:
        """Assembles.

        Args:
            shadow_share: of the student's answers, 0 to 1, that the teacher checks.
        """
        self.teacher = teacher
        self.questions = questions
        self.shadow_share = shadow_share
        self.metrics = metrics
        self.shadows: set[asyncio.Task[None]] = set()

    async def ask(
        self, resolution: Resolution, engine: Engine, positions: Collection[int] | None = None
    ) -> dict[int, TeacherAnswer | NodeError]:
        """Position → answer or error, for the good nodes, or some of them."""
        if positions is not None and not positions:
            return {}
        labels = engine.manifest.label_names
        prompts = self.questions.prompts(resolution)
        wanted = [p for p in prompts if positions is None or p in positions]
        async with asyncio.TaskGroup() as group:  # all are cancelled together
            tasks = [
                group.create_task(answer_or_error(self.teacher.ask(prompts[p], labels)))
                for p in wanted
            ]
        return {position: task.result() for position, task in zip(wanted, tasks, strict=True)}

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
        for position, answer in (await self.ask(resolution, engine, labels)).items():
            if isinstance(answer, TeacherAnswer):
                agree = answer.opinion.label == labels[position]
                self.metrics.agreement.add("agree" if agree else "differ")
            else:
                self.metrics.agreement.add("failed")

    async def close(self) -> None:
        """Gives up what is in the background."""
        for task in list(self.shadows):
            task.cancel()
        await asyncio.gather(*self.shadows, return_exceptions=True)
        await self.teacher.close()


async def answer_or_error(
    asked: Coroutine[Any, Any, TeacherAnswer],
) -> TeacherAnswer | NodeError:
    try:
        return await asked
    except (TeacherError, TeacherBusyError) as error:
        return error
