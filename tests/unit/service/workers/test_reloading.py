"""Signals that request a reload while one runs."""

import asyncio
from types import SimpleNamespace
from typing import cast

from service.workers.messages import Done, Served
from service.workers.processes import Worker
from service.workers.reloading import Reloading


def test_a_signal_during_a_reload_has_all_workers_take_the_folder_once_more() -> None:
    asked: list[str] = []

    async def several() -> None:
        begun, going_on = asyncio.Event(), asyncio.Event()

        async def ask(what: str, kind: type[Done]) -> Done:
            asked.append(what)
            begun.set()
            await going_on.wait()
            return kind(Served("new"), "old", 0.1)

        channel = SimpleNamespace(ask=ask)
        worker = cast(Worker, SimpleNamespace(number=1, channel=channel, loaded=None))
        reloading = Reloading()
        first = asyncio.create_task(reloading.reload([worker]))
        await begun.wait()
        refused = await reloading.reload([worker])
        assert refused.refused is not None
        assert refused.refused.running
        later = [asyncio.create_task(reloading.after_others(lambda: [worker])) for _ in range(3)]
        await asyncio.sleep(0)
        going_on.set()
        assert (await first).served.model_version == "new"
        await asyncio.gather(*later)

    asyncio.run(several())
    assert asked == ["reload", "reload"]
