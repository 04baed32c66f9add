"""The ways in which `benchmarks.ray_stages` has a stage done, and what it finds of each."""

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
    name: str
    workers: int = 0  # 0: without Ray
    killed: bool = False  # one of them, once
    timed: bool = False  # over a longer run of a student, too
    twice: bool = False  # by two processes at once that share nothing
    seeds: tuple[int, ...] = SEEDS[:1]  # of students; none: only what is timed


ALONE = Way("without Ray", seeds=SEEDS)
ONE = Way("one worker", 1, timed=True, seeds=())
TWO = Way("two workers", 2, timed=True, seeds=SEEDS)
KILLED = Way("two, one killed", 2, killed=True)
BESIDE = Way("without Ray, twice at once", twice=True)
WAYS = (ALONE, ONE, TWO, KILLED)


@dataclass(slots=True)
class Figures:
    """Of one way of one stage."""

    seconds: float = 0.0  # of teaching, or of the longer run
    answers: str = ""  # SHA-256 of a teacher's answers, of predictions, or of activations
    difference: float = 0.0  # of activations, the largest from those without Ray
    training_seconds: float = 0.0  # of the longer run, its first step to its last
    val_accuracy: list[float] = field(default_factory=list)  # by seed
    compared_seconds: list[float] = field(default_factory=list)  # the same, of training


@dataclass(frozen=True, slots=True)
class Place:
    """Where a way's work is done."""

    way: Way
    graph: Path
    out: Path
    cluster: Cluster | None


@contextmanager
def placed(way: Way, home: Path) -> Iterator[Place]:
    """A way's cluster, where it has one; what is cached of texts is of no use to the next way."""
    graph, out = home / "graph", home / folder_name(way)
    os.environ["UNDERSTUDY_CACHE"] = str(out.with_suffix(".cache"))
    if not way.workers:
        yield Place(way, graph, out, None)
        return
    with joined(LOCAL, way.workers) as cluster:
        yield Place(way, graph, out, cluster)


def folder_name(way: Way) -> str:
    """Of what a way makes."""
    return way.name.replace(" ", "-").replace(",", "")


def killing(title: str, when: str) -> Progress:
    """Kills one worker of ours, when something of the stage `when` is done for the first time."""
    waiting = [title]

    def report(stage: str, done: int, total: int) -> None:
        if stage == when and 0 < done < total and waiting:
            own = descendants(waiting.pop())
            if not own:
                raise BenchmarkError(f"no process {title} is there to be killed")
            own[-1].kill()

    return report


def descendants(title: str) -> list[psutil.Process]:
    """Processes below this one whose command begins so."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "".join(one.cmdline()[:1]).startswith(title)]
