"""Progress on the command line: bars on a terminal, lines elsewhere, silence without a report."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from understudy.progress import Lines, lines, named, step, terminal_progress

ROOT = Path(__file__).parents[3]
WORK = """
from understudy.progress import terminal_progress
with terminal_progress() as progress:
    progress("Computing activations", 0, 3)
    progress("Computing activations", 3, 3)
"""


class Clock:
    """Seconds, moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reported() -> list[str]:
    return []


@pytest.fixture
def progress(reported: list[str], clock: Clock) -> Lines:
    return Lines(reported.append, clock)


def test_a_file_gets_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress() as progress:
        progress("Computing activations", 0, 3)
        progress("Computing activations", 3, 3)
    assert capsys.readouterr() == ("", "Computing activations: 3/3, done in 0 s\n")


def test_a_terminal_gets_bars() -> None:
    master, terminal = os.openpty()
    with os.fdopen(master, "rb", buffering=0) as shown:
        subprocess.run(
            [sys.executable, "-c", WORK],
            stderr=terminal,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        )
        os.close(terminal)
        text = io.BytesIO()
        try:
            while part := shown.read(4096):
                text.write(part)
        except OSError:  # how Linux says that the other end is closed
            pass
    assert "━" in text.getvalue().decode()
    assert "done in" not in text.getvalue().decode()


def test_without_a_report_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal_progress():
        pass
    assert capsys.readouterr() == ("", "")


def test_a_stage_is_told_of_after_two_seconds_and_then_every_ten(
    progress: Lines, reported: list[str], clock: Clock
) -> None:
    for second in range(26):
        clock.now = 100.0 + second
        progress("Asking", 10 * second, 1_000)
    assert reported == [
        "Asking: 20/1,000, 10.0 a second, 1 min 38 s left",
        "Asking: 120/1,000, 10.0 a second, 1 min 28 s left",
        "Asking: 220/1,000, 10.0 a second, 1 min 18 s left",
    ]
    clock.now = 220.0
    for _ in range(2):  # an end is reported once
        progress("Asking", 1_000, 1_000)
    assert reported[3:] == ["Asking: 1,000/1,000, done in 2 min 0 s"]


def test_a_stage_that_reports_nothing_is_told_of_too(
    progress: Lines, reported: list[str], clock: Clock
) -> None:
    with step(progress, "Loading the teacher"):
        for second in range(14):
            clock.now = 100.0 + second
            progress.glance()
    assert reported == [
        "Loading the teacher: for 2 s",
        "Loading the teacher: for 12 s",
        "Loading the teacher: done in 13 s",
    ]


def test_an_outer_stage_is_reported_once_its_inner_stage_has_ended(
    progress: Lines, reported: list[str], clock: Clock
) -> None:
    with step(progress, "Opening the bundle"):
        with step(progress, "Computing activations"):
            clock.now += 1
        clock.now += 2
        progress.glance()
    assert reported == [
        "Computing activations: done in 1 s",
        "Opening the bundle: for 3 s",
        "Opening the bundle: done in 3 s",
    ]


def test_what_was_done_before_counts_for_no_speed(
    progress: Lines, reported: list[str], clock: Clock
) -> None:
    progress("Asking", 900, 1_000)
    clock.now += 20
    progress("Asking", 910, 1_000)
    assert reported == ["Asking: 910/1,000, 2.0 s each, 3 min 0 s left"]


def test_bytes_are_told_as_a_share_and_an_unknown_total_without_one(
    progress: Lines, reported: list[str], clock: Clock
) -> None:
    progress("read nodes.csv", 0, 4_000_000)
    progress("scan", 0, 0)
    clock.now += 3
    progress("scan", 30, 0)
    progress("read nodes.csv", 1_000_000, 4_000_000)
    assert reported == ["scan: 30, 10.0 a second", "read nodes.csv: 25%, 9 s left"]


def test_a_stage_may_begin_again_and_similar_ones_have_names(
    progress: Lines, reported: list[str], clock: Clock
) -> None:
    for name in ("alone", "taught"):
        named(progress, name)("Training", 0, 5)
        clock.now += 1
        named(progress, name)("Training", 5, 5)
    for _ in range(2):
        progress("Fitting", 0, 5)
        progress("Fitting", 5, 5)
    assert reported == [
        "Training (alone): 5/5, done in 1 s",
        "Training (taught): 5/5, done in 1 s",
        *["Fitting: 5/5, done in 0 s"] * 2,
    ]


def test_a_thread_of_its_own_tells_while_the_work_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.progress.FIRST_LINE", 0.0)
    monkeypatch.setattr("understudy.progress.NEXT_LINE", 0.0)
    monkeypatch.setattr("understudy.progress.GLANCE", 0.001)
    heard = threading.Event()

    def hear(line: str) -> None:
        if threading.current_thread() is not threading.main_thread():
            heard.set()

    with lines(hear) as progress, step(progress, "Loading"):
        assert heard.wait(30)
    assert "progress" not in {thread.name for thread in threading.enumerate()}
