"""A backend that answers as it is told to, and what asks it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.cache import Cache, CacheOptions
from service.teacher.asking import Asking, TeacherSetup
from service.teacher.client import Opinion
from service.teacher.costs import Prices
from service.teacher.questions import QuestionOptions, Questions
from service.teacher.teacher import Teacher, TeacherOptions
from service.telemetry.metrics import Metrics
from understudy.bundle import Manifest
from understudy.graph.prompts import Prompt


@dataclass
class ToldTeacher:
    """A backend that says what it is told to, once it may."""

    say: Callable[[Prompt], Opinion | Exception] = lambda prompt: Opinion("net")
    released: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Prompt] = field(default_factory=list)
    name: str = "told"

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        self.asked.append(prompt)
        await self.released.wait()
        said = self.say(prompt)
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        pass


def open_teacher(metrics: Metrics, **options: int) -> Teacher:
    cache = Cache("teacher", CacheOptions(), None, metrics)
    return Teacher(cache, TeacherOptions(**options), metrics)


def asking(backend: ToldTeacher, share: float = 0.0, **options: int) -> Asking:
    """Asks the one backend about every bundle, in its labels."""

    def setup_of(manifest: Manifest) -> TeacherSetup:
        return TeacherSetup(Questions(QuestionOptions(), manifest.label_names), backend)

    metrics = Metrics()
    return Asking(open_teacher(metrics, **options), setup_of, share, metrics, Prices())
