"""The order in which an evaluation's work is given to processes."""

import multiprocessing
import signal
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from training.evaluation.processes import Task, follow, uninterrupted

PATIENCE = 20.0  # seconds, until a test gives up


class Diary:
    """Notes who begins and ends."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.running = self.most = 0
        self.lock = threading.Lock()

    def task(self, name: str, until: threading.Event | None = None, stage: str = "train") -> Task:
        def work() -> None:
            with self.lock:
                self.running += 1
                self.most = max(self.most, self.running)
                self.notes.append(f"{name} begins")
            if until is not None:
                assert until.wait(PATIENCE)
            with self.lock:
                self.running -= 1
                self.notes.append(f"{name} ends")

        return Task(work, stage)

    def when(self, note: str) -> int:
        return self.notes.index(note)


def test_a_stage_waits_for_the_one_before_and_others_work_meanwhile() -> None:
    diary, other_done = Diary(), threading.Event()

    def last() -> None:
        diary.notes.append("the other one is done")
        other_done.set()

    first = [deque([diary.task("prepare", other_done, "prepare")])]
    first += [deque([diary.task("0"), diary.task("1")]), deque([diary.task("conclude")])]
    other = [deque([diary.task("a"), diary.task("b")]), deque([Task(last)])]
    reports: list[set[str]] = []
    with ThreadPoolExecutor(2) as pool:
        follow(pool, 2, [deque(first), deque(other)], reports.append)
    assert diary.when("the other one is done") < diary.when("prepare ends")
    assert diary.when("prepare ends") < min(diary.when("0 begins"), diary.when("1 begins"))
    assert max(diary.when("0 ends"), diary.when("1 ends")) < diary.when("conclude begins")
    assert diary.notes[-1] == "conclude ends"
    assert diary.most == 2
    assert {"prepare", "train"} in reports
    assert "prepare" not in reports[-1]


def test_the_first_error_ends_all() -> None:
    diary = Diary()

    def fails() -> None:
        raise OSError("the disk is full")

    work = deque([deque([Task(fails)]), deque([diary.task("conclude")])])
    with ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="the disk is full"):
        follow(pool, 1, [work], lambda _: None)
    assert not diary.notes


def test_processes_are_born_deaf_to_an_interrupt_of_the_first_one() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with uninterrupted():
            answer = pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ())
        assert signal.SIGINT in answer.result()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
