"""Distributes the splits of evaluations to processes.

Graphs of some thousand nodes parallelise badly: two processes of one thread each do more than one
of two threads. Shared resources are made first, so that no two processes make them; an evaluation
that waits for them, or for its last split, leaves the processes to the next one.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch

from training.encoders.features import encoder_spec, graph_features
from training.errors import EvaluationError
from training.evaluation.folder import STAGE, Evaluation, run_path
from training.evaluation.plan import run_keys
from training.terminal import quiet_libraries
from understudy.plugins import load_plugins
from understudy.progress import Progress, silent

GLANCE = 1.0  # seconds between two checks of progress
PREPARING = "Reading texts, and asking a frozen teacher"


@dataclass(frozen=True, slots=True)
class Task:
    """Work that can be sent to another process, and the stage that progress shows meanwhile."""

    work: Callable[[], object]
    stage: str = STAGE


def run_apart(
    evaluations: Sequence[Evaluation],
    processes: int,
    conclude: Callable[[Evaluation], object],
    progress: Progress,
) -> None:
    """Runs what is missing, one split at a time per process, in the order of evaluations; torch's
    threads are divided among the processes.

    Args:
        conclude: is called, in a process, for every evaluation that is complete

    Raises:
        EvaluationError: a process was killed.
        GraphError, TrainingError: as in one process.
    """
    runs = [run_path(one.out, key) for one in evaluations for key in run_keys(one.options)]
    threads = max(1, torch.get_num_threads() // processes)
    work = [deque(stages(one, conclude)) for one in evaluations]
    most = max(len(stage) for of_one in work for stage in of_one)
    count = min(processes, most * len(evaluations))
    context = multiprocessing.get_context("spawn")
    shown: set[str] = set()
    with ProcessPoolExecutor(count, context, begin, (threads,)) as pool:

        def tell(stages: set[str]) -> None:
            shown.update(stages)
            if PREPARING in shown:
                progress(PREPARING, 0 if stages == {PREPARING} else 1, 1)
            if STAGE in stages:
                progress(STAGE, sum(path.is_file() for path in runs), len(runs))

        try:
            follow(pool, count, work, tell)
        except BrokenProcessPool as error:
            raise EvaluationError(
                "a process of the evaluation was killed, perhaps because memory ran out; run the "
                "same command again with fewer --processes to resume"
            ) from error
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()  # finished results are written, and the rest can be resumed
            raise


def stages(evaluation: Evaluation, conclude: Callable[[Evaluation], object]) -> list[deque[Task]]:
    """The tasks of an evaluation in stages; tasks of one stage are independent."""
    keys = run_keys(evaluation.options)
    splits = sorted({key.split for key in keys if not run_path(evaluation.out, key).is_file()})
    last = deque([Task(partial(conclude, evaluation))])
    if not splits:
        return [last]
    first = deque([Task(partial(prepare, evaluation), PREPARING)])
    return [first, deque(Task(partial(run_split, evaluation, split)) for split in splits), last]


def follow(
    pool: Executor,
    count: int,
    work: Sequence[deque[deque[Task]]],
    tell: Callable[[set[str]], None],
) -> None:
    """Runs all stages, or raises the first error; each process has one task at a time.

    Args:
        tell: called again and again with the stages of the tasks that run.
    """
    running: dict[Future[object], tuple[int, Task]] = {}
    while running or any(work):
        for number, left in enumerate(work):
            while left and len(running) < count:
                if left[0]:
                    task = left[0].popleft()
                    with uninterrupted():
                        running[pool.submit(task.work)] = number, task
                elif any(number == its for its, _ in running.values()):
                    break
                else:
                    left.popleft()
        done, _ = wait(running, timeout=GLANCE, return_when=FIRST_COMPLETED)
        tell({task.stage for _, task in running.values()})
        for future in done:
            del running[future]
            future.result()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Blocks Ctrl-C, so that processes started meanwhile never receive it, even at startup."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare(evaluation: Evaluation) -> None:
    """Makes resources shared by all splits: embeddings, a frozen teacher's answers, choices."""
    folder = evaluation.opened(silent)
    if not evaluation.options.withheld:  # otherwise every split has its own texts
        for encoder in folder.encoders:
            graph_features(folder.graph, encoder_spec(encoder))
        if folder.needs_teacher and evaluation.options.teacher.encoder.frozen:
            folder.teacher(0)
    if evaluation.options.trials:
        for key in run_keys(evaluation.options):
            if (key.split, key.seed) == (0, 0):
                folder.choice(key)


def run_split(evaluation: Evaluation, split: int) -> None:
    keys = [key for key in run_keys(evaluation.options) if key.split == split]
    evaluation.opened(silent).run_missing(keys)


def begin(threads: int) -> None:
    """Prepares a worker process: loads plugins, and ends it with its parent in every case."""
    load_plugins()
    quiet_libraries()
    torch.set_num_threads(threads)
    first = multiprocessing.parent_process()
    assert first is not None

    def end() -> None:
        first.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
