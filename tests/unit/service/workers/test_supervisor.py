"""What the supervisor does about a worker that lives and does nothing."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from service.workers.channel import Channel
from service.workers.messages import Loaded
from service.workers.processes import Worker
from service.workers.supervisor import Supervisor
from service.workers.worker import Plan


def nobody_announces(_: Loaded, __: str | None) -> None:
    raise AssertionError("nothing serves")


def test_a_worker_that_hangs_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    hanging = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])

    async def watch() -> None:
        ours, theirs = socket.socketpair()  # which nobody reads
        plan = Plan(Path("bundle"), Settings(workers=2), None)
        supervisor = Supervisor(plan, nobody_announces)
        worker = Worker(1, hanging.pid, Channel(ours, lambda w, b: supervisor.answer(worker, w, b)))
        listening = asyncio.create_task(supervisor.listen(worker))
        await asyncio.sleep(0)
        worker.serving = True
        await supervisor.watch(worker, pause=0, patience=0.01)
        theirs.close()
        await listening

    asyncio.run(watch())
    assert hanging.wait() == -signal.SIGKILL
    assert "worker 1 hangs" in caplog.text
