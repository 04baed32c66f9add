"""Asking the teacher about a request's nodes: nothing blocks, hopeless ones are refused."""

import asyncio
import threading
from time import monotonic

import pytest

from service.errors import TeacherBusyError
from service.inference.deadlines import deadline
from service.messages import STUDENTS
from service.teacher.asking import MAX_SHADOWS
from service.teacher.questions import Questions
from service.teacher.teacher import TeacherAnswer
from tests.bundles import TinyBundle
from tests.unit.service.scripted_teacher import ScriptedTeacher, asking
from understudy.engine import Engine, Node, NodeError


def test_no_prompt_is_written_on_the_event_loop(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, int]] = []
    write = Questions.prompts

    def noting(self: Questions, resolution, wanted):  # type: ignore[no-untyped-def]
        written.append((threading.current_thread().name, len(wanted)))
        return write(self, resolution, wanted)

    monkeypatch.setattr(Questions, "prompts", noting)

    async def ask() -> None:
        backend = ScriptedTeacher()
        backend.released.set()
        several = asking(backend)
        with Engine.open(tiny_bundle.folder) as engine:
            several.attach(engine)
            nodes = [Node(text=f"text {number}", neighbors=("node-1",)) for number in range(300)]
            resolution = engine.resolve([*nodes, Node(id="nobody")])
            answers = await several.ask(resolution, engine)
            assert sorted(answers) == list(range(300))
            few = await several.ask(resolution, engine, {7: "net", 300: "net", 5: "net"})
            assert sorted(few) == [5, 7]
        await several.close()

    asyncio.run(ask())
    assert all(name.startswith("prompts") for name, _ in written)
    assert sum(count for _, count in written) == 300 + 3
    assert max(count for _, count in written) <= 32  # so that requests take turns


def test_who_would_wait_in_vain_or_beside_too_many_is_refused_at_once_unless_it_is_known(
    tiny_bundle: TinyBundle,
) -> None:
    async def ask() -> None:
        backend = ScriptedTeacher()
        several = asking(backend, concurrency=1, requests=2)
        with Engine.open(tiny_bundle.folder) as engine:
            several.attach(engine)

            async def within(seconds: float, *names: str) -> list[TeacherAnswer | NodeError]:
                deadline.set(monotonic() + seconds)
                resolution = engine.resolve([Node(id=name) for name in names])
                return list((await several.ask(resolution, engine)).values())

            first = asyncio.create_task(within(60, "node-1"))
            async with asyncio.timeout(20):
                while not backend.asked:
                    await asyncio.sleep(0)
            several.teacher.seconds = 10.0
            (vain,) = await asyncio.create_task(within(5, "node-2"))
            assert isinstance(vain, TeacherBusyError)
            assert "would wait about 10 s" in str(vain)
            second = asyncio.create_task(within(60, "node-2"))
            await asyncio.sleep(0)
            (many,) = await within(60, "node-3")
            assert "too many requests wait" in str(many)
            backend.released.set()
            assert [len(await task) for task in (first, second)] == [1, 1]
            backend.released.clear()
            third = asyncio.create_task(within(60, "node-4"))
            async with asyncio.timeout(20):
                while len(backend.asked) < 3:
                    await asyncio.sleep(0)
            known, other = await asyncio.create_task(within(5, "node-1", "node-5"))
            assert isinstance(known, TeacherAnswer)
            assert isinstance(other, TeacherBusyError)
            backend.released.set()
            await third
        await several.close()

    asyncio.run(ask())


def test_shadows_ask_one_by_one_and_keep_no_version(tiny_bundle: TinyBundle) -> None:
    async def check() -> None:
        backend = ScriptedTeacher()
        several = asking(backend, share=1.0)
        with Engine.open(tiny_bundle.folder) as engine:
            several.attach(engine)
            nodes = [Node(id=f"node-{number}") for number in range(20)]
            resolution = engine.resolve(nodes)
            predictions = engine.classify_as(STUDENTS, nodes)
            for _ in range(MAX_SHADOWS + 3):
                several.shadow(resolution, engine, predictions)
            assert len(several.shadows) == MAX_SHADOWS
            async with asyncio.timeout(60):
                while any(holds(task, resolution) for task in several.shadows):
                    await asyncio.sleep(0.001)
            assert len(backend.asked) == 1  # equal questions at a time are one
            backend.released.set()
            await asyncio.gather(*several.shadows)
        assert len(backend.asked) == 20
        agreement = several.metrics.agreement.values
        assert sum(agreement.values()) == 20 * MAX_SHADOWS
        await several.close()

    asyncio.run(check())


def holds(task: "asyncio.Task[None]", thing: object) -> bool:
    return any(thing is value for value in task.get_stack()[0].f_locals.values())
