"""What the supervisor does with workers that cannot serve."""

import asyncio
import faulthandler
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import WorkersError
from service.settings import Settings
from service.workers.channel import Channel
from service.workers.messages import Loaded
from service.workers.processes import Worker
from service.workers.supervisor import STARTS, Supervisor
from service.workers.team import Team
from service.workers.worker import Plan


def nobody_announces(_: Loaded, __: str | None) -> None:
    raise AssertionError("nothing serves")


def supervisor() -> Supervisor:
    return Supervisor(Plan(Path("bundle"), Settings(workers=2), None, ()), nobody_announces)


def starts_of(place: Path) -> list[int]:
    """How often each worker was started, as they noted it."""
    numbers = place.read_text().split()
    return [numbers.count(str(number)) for number in (1, 2)]


def test_workers_that_end_without_a_word_are_tried_again_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_: Plan, number: int, __: socket.socket) -> None:
        with (tmp_path / "starts").open("a") as file:
            file.write(f"{number} ")
        os._exit(7)

    monkeypatch.setattr("service.workers.supervisor.run_worker", dies)
    with pytest.raises(WorkersError, match=r"worker \d cannot serve: it ended with status 7"):
        asyncio.run(supervisor().run())
    assert max(starts_of(tmp_path / "starts")) == STARTS


def test_a_worker_that_a_signal_ended_is_told_with_what_may_be_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(_: Plan, __: int, ___: socket.socket) -> None:
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGBUS)

    monkeypatch.setattr("service.workers.supervisor.run_worker", breaks)
    with pytest.raises(WorkersError, match=r"by SIGBUS \(perhaps a file of the bundle"):
        asyncio.run(supervisor().run())


def test_a_reason_that_is_told_at_the_start_ends_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: Plan, number: int, end: socket.socket) -> None:
        with (tmp_path / "starts").open("a") as file:
            file.write(f"{number} ")
        Team(end).failed("the bundle is damaged")
        sys.exit(1)

    monkeypatch.setattr("service.workers.supervisor.run_worker", refuses)
    with pytest.raises(WorkersError, match=r"worker \d cannot serve: the bundle is damaged"):
        asyncio.run(supervisor().run())
    assert max(starts_of(tmp_path / "starts")) == 1


def test_a_worker_that_hangs_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    hanging = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])

    async def watch() -> None:
        ours, theirs = socket.socketpair()  # which nobody reads
        own = supervisor()
        worker = Worker(1, hanging.pid, Channel(ours, lambda w, b: own.answer(worker, w, b)))
        listening = asyncio.create_task(own.listen(worker))
        await asyncio.sleep(0)
        worker.serving = True
        await own.watch(worker, pause=0, patience=0.01)
        theirs.close()
        await listening

    asyncio.run(watch())
    assert hanging.wait() == -signal.SIGKILL
    assert "worker 1 hangs" in caplog.text
