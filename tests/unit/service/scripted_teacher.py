"""A teacher's backend whose answers a test scripts, and the parts of the service that ask it."""

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
class ScriptedTeacher:
    """A backend that answers a prompt as `script` does, once `released` is set."""

    script: Callable[[Prompt], Opinion | Exception] = lambda prompt: Opinion("net")
    released: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Prompt] = field(default_factory=list)
    name: str = "scripted"

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        self.asked.append(prompt)
        await self.released.wait()
        answer = self.script(prompt)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        pass


def open_teacher(metrics: Metrics, **options: int) -> Teacher:
    cache = Cache("teacher", CacheOptions(), None, metrics)
    return Teacher(cache, TeacherOptions(**options), metrics)


def asking(backend: ScriptedTeacher, share: float = 0.0, **options: int) -> Asking:
    """Makes what asks this one backend about every bundle, in the bundle's labels."""

    def setup_of(manifest: Manifest) -> TeacherSetup:
        return TeacherSetup(Questions(QuestionOptions(), manifest.label_names), backend)

    metrics = Metrics()
    return Asking(open_teacher(metrics, **options), setup_of, share, metrics, Prices())
