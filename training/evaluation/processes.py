"""An evaluation's splits, shared out to processes.

Graphs of some thousand nodes do not divide well: two processes of one thread each do more than one
of two threads. What splits have in common is made first, so that no two processes make it.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch

from training.encoders.features import encoder_spec, graph_features
from training.errors import EvaluationError
from training.evaluation.folder import STAGE, EvaluationFolder
from training.evaluation.plan import EvaluationOptions, run_keys
from training.evaluation.run import Finish
from training.terminal import quiet_libraries
from understudy.graph import load_graph
from understudy.graph.progress import silent
from understudy.plugins import load_plugins

GLANCE = 1.0  # seconds between two looks at how far the processes are


def run_apart(evaluation: EvaluationFolder, graph_folder: Path, processes: int) -> None:
    """Runs what is missing, a split at a time in each process; torch's threads are shared among
    them.

    Raises:
        EvaluationError: a process was ended from outside.
        GraphError, TrainingError: as in one process.
    """
    keys = [key for key in run_keys(evaluation.options) if not evaluation.run_path(key).is_file()]
    if not keys:
        return
    prepare(evaluation)
    splits = sorted({key.split for key in keys})
    threads = max(1, torch.get_num_threads() // processes)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(splits)), context, follow_the_first) as pool:
        work = [
            pool.submit(
                run_split,
                graph_folder,
                evaluation.out,
                evaluation.options,
                evaluation.finish,
                split,
                threads,
            )
            for split in splits
        ]

        def tell() -> None:
            done = sum(evaluation.run_path(key).is_file() for key in keys)
            evaluation.progress(STAGE, done, len(keys))

        try:
            follow(work, tell)
        except BrokenProcessPool as error:
            raise EvaluationError(
                "a process of the evaluation was ended from outside, perhaps for want of memory; "
                "the same command goes on where it was, with fewer --processes"
            ) from error
        except BaseException:
            for future in work:
                future.cancel()
            for process in multiprocessing.active_children():
                process.terminate()  # whatever is done is written, and the rest can be done again
            raise


def prepare(evaluation: EvaluationFolder) -> None:
    """Makes what belongs to no split alone: embeddings, a frozen teacher's answers, choices."""
    if not evaluation.options.withheld:  # else every split has texts of its own
        for encoder in evaluation.encoders:
            graph_features(evaluation.graph, encoder_spec(encoder), None, evaluation.progress)
        if evaluation.needs_teacher and evaluation.options.teacher.encoder.frozen:
            evaluation.teacher(0)
    if evaluation.options.trials:
        for key in run_keys(evaluation.options):
            if (key.split, key.seed) == (0, 0):
                evaluation.choice(key)


def follow(work: list[Future[None]], tell: Callable[[], None]) -> None:
    """Waits for all, or for the first error, which it raises."""
    pending = set(work)
    while pending:
        done, pending = wait(pending, timeout=GLANCE, return_when=FIRST_COMPLETED)
        tell()
        for future in done:
            future.result()


def follow_the_first() -> None:
    """A process ends with the first one, however that ends, and leaves Ctrl-C to it.

    It has the first one's plugins, too.
    """
    load_plugins()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first = multiprocessing.parent_process()
    assert first is not None

    def end() -> None:
        first.join()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def run_split(
    graph_folder: Path,
    out: Path,
    options: EvaluationOptions,
    finish: Finish | None,
    split: int,
    threads: int,
) -> None:
    """One split's runs, in a process of their own."""
    quiet_libraries()
    torch.set_num_threads(threads)
    evaluation = EvaluationFolder(load_graph(graph_folder), out, options, silent, finish)
    evaluation.run_missing([key for key in run_keys(options) if key.split == split])
