"""The ways to run a stage that `benchmarks.ray_stages` compares, and the figures of each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.errors import BenchmarkError
from understudy.cluster.joining import LOCAL, Cluster, joined
from understudy.progress import Progress

SEEDS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run a stage."""

    name: str
    workers: int = 0  # 0: without Ray
    killed: bool = False  # one worker is killed, once
    timed: bool = False  # a longer run of a student is timed, too
    twice: bool = False  # two independent processes run it at the same time
    seeds: tuple[int, ...] = SEEDS[:1]  # of students; none: only the timed run


ALONE = Way("without Ray", seeds=SEEDS)
ONE = Way("one worker", 1, timed=True, seeds=())
TWO = Way("two workers", 2, timed=True, seeds=SEEDS)
KILLED = Way("two, one killed", 2, killed=True)
BESIDE = Way("without Ray, twice at once", twice=True)
WAYS = (ALONE, ONE, TWO, KILLED)


@dataclass(slots=True)
class Figures:
    """The figures of one way to run one stage."""

    seconds: float = 0.0  # of teaching, or of the longer run
    answers: str = ""  # SHA-256 of a teacher's answers, of predictions, or of activations
    difference: float = 0.0  # the largest between activations with and without Ray
    training_seconds: float = 0.0  # of the longer run, from its first step to its last
    val_accuracy: list[float] = field(default_factory=list)  # by seed
    compared_seconds: list[float] = field(default_factory=list)  # of training, by seed


@dataclass(frozen=True, slots=True)
class Place:
    """The folders and the cluster, if any, that a way works with."""

    way: Way
    graph: Path
    out: Path
    cluster: Cluster | None


@contextmanager
def placed(way: Way, home: Path) -> Iterator[Place]:
    """Starts a way's cluster, if it has one; each way has its own cache of texts."""
    graph, out = home / "graph", home / folder_name(way)
    os.environ["UNDERSTUDY_CACHE"] = str(out.with_suffix(".cache"))
    if not way.workers:
        yield Place(way, graph, out, None)
        return
    with joined(LOCAL, way.workers) as cluster:
        yield Place(way, graph, out, cluster)


def folder_name(way: Way) -> str:
    """The name of the folder that a way writes."""
    return way.name.replace(" ", "-").replace(",", "")


def killing(title: str, when: str) -> Progress:
    """Makes a progress that kills a worker once, as soon as the stage `when` has made progress."""
    waiting = [title]

    def report(stage: str, done: int, total: int) -> None:
        if stage == when and 0 < done < total and waiting:
            own = descendants(waiting.pop())
            if not own:
                raise BenchmarkError(f"there is no process {title} to kill")
            own[-1].kill()

    return report


def descendants(title: str) -> list[psutil.Process]:
    """Lists the processes started from this one whose command begins with the title."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "".join(one.cmdline()[:1]).startswith(title)]
