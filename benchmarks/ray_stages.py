"""Teaching and distilling on a local cluster of Ray, by one worker and by two, of one core each.

    python -m benchmarks.ray_stages teach [--nodes 100000] [--asked 2000]
    python -m benchmarks.ray_stages distill [--nodes 100000] [--epochs 1] [--timed-epochs 6]

Beside them the stage without Ray, on one core, too; and by two workers of which one is killed.
Seconds are of a stage, from its command to its folder, on a cluster that runs: workers start in
them. A teacher is an encoder with a fitted head (MiniLM, or a folder), asked once each way. A
student hashes texts: those that are compared with each other are trained over three seeds, and one
worker is held against two over one longer run, in which starting is a smaller part.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import psutil
import torch
import typer

from benchmarks.errors import BenchmarkError
from benchmarks.measure import (
    check_programs,
    described,
    markdown_table,
    run_script,
    write_results,
)
from training.config import DistillOptions, StudentConfig, TrainingConfig
from training.distill import distill
from training.loop import STAGE as TRAINING
from training.memory import BATCH
from training.teacher.encoder import EncoderOptions
from training.teacher.extract import STAGE as ASKING
from training.teacher.options import Budget, TeachOptions
from training.teacher.teach import teach
from training.terminal import quiet_libraries
from understudy.cluster.joining import LOCAL, Cluster, joined
from understudy.graph import save_graph
from understudy.graph.files import file_digest
from understudy.graph.progress import Progress, silent
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

ACTOR, WORKER = "ray::MapWorker", "ray::RayTrainWorker"  # as processes are called
SEEDS = (0, 1, 2)
Stage = Literal["teach", "distill"]


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    workers: int = 0  # 0: without Ray
    killed: bool = False  # one of them, once
    timed: bool = False  # over a longer run of a student, too
    seeds: tuple[int, ...] = SEEDS[:1]  # of students; none: only what is timed


ALONE = Way("without Ray", seeds=SEEDS)
ONE = Way("one worker", 1, timed=True, seeds=())
TWO = Way("two workers", 2, timed=True, seeds=SEEDS)
KILLED = Way("two, one killed", 2, killed=True)
WAYS = (ALONE, ONE, TWO, KILLED)


@dataclass(slots=True)
class Figures:
    """Of one way of one stage."""

    seconds: float = 0.0  # of teaching, or of the longer run
    answers: str = ""  # SHA-256 of the teacher's answers
    training_seconds: float = 0.0  # of the longer run, its first step to its last
    val_accuracy: list[float] = field(default_factory=list)  # by seed


def main(
    stage: Annotated[Stage, typer.Argument(help="What is measured.")],
    nodes: Annotated[int, typer.Option(min=100, help="Of the synthetic graph.")] = 100_000,
    asked: Annotated[
        int, typer.Option(min=1, help="Nodes that the teacher is asked about.")
    ] = 2_000,
    epochs: Annotated[int, typer.Option(min=2, help="Of students that are compared.")] = 2,
    timed_epochs: Annotated[int, typer.Option(min=1, help="Of the one that is timed.")] = 6,
    batch_size: Annotated[int, typer.Option(min=2, help="Nodes a step.")] = BATCH,
    teacher: Annotated[str, typer.Option(help="encoder, or encoder:FOLDER.")] = "encoder",
) -> None:
    """Measure, print and write results/ray_STAGE.json and ray_STAGE.md."""
    quiet_libraries()
    check_programs()
    torch.set_num_threads(1)
    asking = TeachOptions(
        teacher,
        hops=(0, 1),
        encoder=EncoderOptions(frozen=True),
        budget=Budget(nodes=asked),
        part_prompts=128,
    )
    options = DistillOptions(
        encoder="hashing",
        student=StudentConfig(hidden=64),
        training=TrainingConfig(
            epochs=epochs, batch_size=batch_size, patience=timed_epochs + epochs, device="cpu"
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        graph = synthetic_graph(SyntheticOptions(nodes=nodes))
        save_graph(graph, home / "graph")
        found = {}
        for way in WAYS:
            with placed(way, home) as place:
                found[way.name] = (
                    taught(place, asking)
                    if stage == "teach"
                    else distilled(place, options, timed_epochs)
                )
            typer.echo(f"{way.name}: {found[way.name]}")
    title = described(graph)
    if stage == "teach":
        title += f", {asked:,} nodes asked about at hops 0 and 1"
    else:
        title += f"; {timed_epochs} epochs timed, {epochs} compared, of {batch_size:,} nodes a step"
    text = report(stage, found, title)
    write_results(f"ray_{stage}", results(stage, found), text)
    typer.echo(text)


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
    graph, out = home / "graph", home / way.name.replace(" ", "-")
    os.environ["UNDERSTUDY_CACHE"] = str(out.with_suffix(".cache"))
    if not way.workers:
        yield Place(way, graph, out, None)
        return
    with joined(LOCAL, way.workers) as cluster:
        yield Place(way, graph, out, cluster)


def taught(place: Place, options: TeachOptions) -> Figures:
    """The teacher asked once; of a way that kills, one actor dies while it is."""
    elsewhere = None
    if place.cluster is not None:
        from training.cluster.asking import asked_on

        elsewhere = asked_on(place.cluster, place.graph)
    told = killing(ACTOR, ASKING) if place.way.killed else silent
    started = time.perf_counter()
    teach(place.graph, place.out, options, told, elsewhere=elsewhere)
    return Figures(time.perf_counter() - started, file_digest(place.out / "answers.safetensors"))


def distilled(place: Place, options: DistillOptions, timed_epochs: int) -> Figures:
    """Students over the way's seeds, and the one that is timed."""
    figures = Figures()
    for seed in place.way.seeds:
        told = killing(WORKER, TRAINING) if place.way.killed else silent
        metrics = student(place, replace(options.training, seed=seed), options, told)
        figures.val_accuracy.append(metrics["val_accuracy"])
    if place.way.timed:
        started = time.perf_counter()
        metrics = student(place, replace(options.training, epochs=timed_epochs), options, silent)
        figures.seconds = time.perf_counter() - started
        figures.training_seconds = metrics["seconds"]
    return figures


def student(
    place: Place, training: TrainingConfig, options: DistillOptions, told: Progress
) -> dict[str, float]:
    """One student's metrics."""
    out, own = place.out, replace(options, training=training)
    if place.cluster is None:
        return distill(place.graph, out, own, told)
    from training.cluster.fitting import fitted_on

    with fitted_on(place.cluster, place.graph, out, None) as fit:
        return distill(place.graph, out, own, told, elsewhere=fit)


def killing(title: str, when: str) -> Progress:
    """Kills one worker of ours, when something of the stage `when` is done for the first time."""
    waiting = [title]

    def told(stage: str, done: int, total: int) -> None:
        if stage == when and 0 < done < total and waiting:
            own = descendants(waiting.pop())
            if not own:
                raise BenchmarkError(f"no process {title} is there to be killed")
            own[-1].kill()

    return told


def descendants(title: str) -> list[psutil.Process]:
    """Processes below this one whose command begins so."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "".join(one.cmdline()[:1]).startswith(title)]


def results(stage: Stage, found: dict[str, Figures]) -> dict[str, Any]:
    """What is committed: seconds and their ratio, and whether all ways give the same."""
    one, two = found[ONE.name], found[TWO.name]
    told: dict[str, Any] = {"ratio": round(two.seconds / one.seconds, 3)}
    told["seconds"] = {name: round(own.seconds, 1) for name, own in found.items() if own.seconds}
    if stage == "teach":
        return told | {"equal_answers": len({own.answers for own in found.values()}) == 1}
    steps = {name: round(own.training_seconds, 1) for name, own in found.items() if own.seconds}
    accuracies = {
        name: [round(value, 4) for value in own.val_accuracy]
        for name, own in found.items()
        if own.val_accuracy
    }
    alone, shared = (np.array(found[way.name].val_accuracy) for way in (ALONE, TWO))
    return (
        told
        | {
            "training_seconds": steps,
            "training_ratio": round(two.training_seconds / one.training_seconds, 3),
            "val_accuracy": accuracies,
            "difference": round(float((shared - alone).mean()), 4),
            "spread": round(float(np.std(alone, ddof=1)), 4),  # of seeds, without Ray
            "killed_is_the_same": found[KILLED.name].val_accuracy
            == found[TWO.name].val_accuracy[:1],
        }
    )


def report(stage: Stage, found: dict[str, Figures], title: str) -> str:
    values = results(stage, found)
    if stage == "teach":
        rows = [[name, f"{seconds:.1f}"] for name, seconds in values["seconds"].items()]
        equal = "equal, byte for byte" if values["equal_answers"] else "NOT equal"
        return (
            f"{title}.\n\n{markdown_table(['', 'seconds'], rows)}\nTwo workers take "
            f"{values['ratio']:.2f} of one's time. The teacher's answers are {equal}.\n"
        )
    rows = [
        [
            name,
            f"{values['seconds'].get(name, '')}",
            f"{values['training_seconds'].get(name, '')}",
            " ".join(f"{value:.4f}" for value in own.val_accuracy),
        ]
        for name, own in found.items()
    ]
    header = ["", "seconds", "of them training", "validation accuracy, by seed"]
    same = "the same" if values["killed_is_the_same"] else "ANOTHER"
    return (
        f"{title}.\n\n{markdown_table(header, rows)}\nTwo workers take {values['ratio']:.2f} of "
        f"one's time, {values['training_ratio']:.2f} without what starting takes. Over the seeds "
        f"their validation accuracy is {values['difference']:+.4f} from that without Ray, whose "
        f"standard deviation is {values['spread']:.4f}. With one killed the student is {same}.\n"
    )


if __name__ == "__main__":
    run_script(main)
