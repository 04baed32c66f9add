"""Measures stages on a local Ray cluster with one worker and with two, each on one core.

    python -m benchmarks.ray_stages teach [--nodes 100000] [--asked 2000] [--workers-alone]
    python -m benchmarks.ray_stages distill [--nodes 100000] [--epochs 2] [--timed-epochs 6]
    python -m benchmarks.ray_stages export [--nodes 100000] [--encoder minilm]
    python -m benchmarks.ray_stages predict [--nodes 100000] [--encoder minilm] [--asked 2000]

For comparison, each stage also runs without Ray on one core, and with two workers of which one is
killed. Seconds are those of the whole stage on a running cluster, including the start of its
workers.

- teach asks an encoder with a fitted head (MiniLM, or a folder), once per way.
- distill trains students on hashed texts; a worker's share of a step is as large as a step without
  Ray. Students whose accuracies are compared are trained with three seeds. The times of one worker
  and two come from one longer run, in which the start matters less. Two independent processes that
  train at the same time show how much this machine's cores slow each other down, which bounds what
  a second worker can gain.
- export and predict use a student of one epoch; predict asks about texts with neighbours.

`--workers-alone` leaves out the way without Ray and the one that kills, for a longer run.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer

from benchmarks.common.command import check_programs
from benchmarks.common.graphs import described
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.ray_stages.passes import (
    PassResults,
    exported,
    pass_report,
    pass_results,
    predicted,
    prepare,
)
from benchmarks.ray_stages.ways import (
    ALONE,
    BESIDE,
    KILLED,
    ONE,
    TWO,
    WAYS,
    Figures,
    Place,
    killing,
    placed,
)
from training.config import DistillOptions, EncoderKind, StudentConfig, TrainingConfig
from training.distill import distill
from training.loop import STAGE as TRAINING
from training.memory import BATCH
from training.teacher.encoder import EncoderOptions
from training.teacher.extract import STAGE as ASKING
from training.teacher.options import Budget, TeachOptions
from training.teacher.teach import teach
from training.terminal import quiet_libraries
from understudy.graph import save_graph
from understudy.graph.files import file_digest
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.progress import Progress, silent

ACTOR, WORKER = "ray::AskingWorker", "ray::RayTrainWorker"  # names of the processes
Stage = Literal["teach", "distill", "export", "predict"]
PASSES: tuple[Stage, ...] = ("export", "predict")


@dataclass(frozen=True, slots=True)
class TeachResults:
    """The content of results/ray_teach.json."""

    ratio: float  # seconds of two workers, divided by those of one
    seconds: dict[str, float]  # by way
    equal_answers: bool  # the teacher answers alike in every way


@dataclass(frozen=True, slots=True)
class DistillResults:
    """The content of results/ray_distill.json."""

    ratio: float  # seconds of two workers, divided by those of one
    seconds: dict[str, float]  # of the longer run, by way
    training_seconds: dict[str, float]  # of these, from the first step to the last
    training_ratio: float
    left_by_the_machine: float  # the least possible ratio, from two independent processes
    val_accuracy: dict[str, list[float]]  # by way, for each seed
    difference: float  # of the mean accuracy, two workers minus no Ray
    spread: float  # standard deviation of the accuracy over seeds, without Ray
    killed_is_the_same: bool


def main(
    stage: Annotated[Stage, typer.Argument(help="Stage to measure.")],
    nodes: Annotated[int, typer.Option(min=100, help="Nodes of the synthetic graph.")] = 100_000,
    asked: Annotated[
        int, typer.Option(min=1, help="Nodes that the teacher is asked about, or texts to predict.")
    ] = 2_000,
    epochs: Annotated[
        int, typer.Option(min=2, help="Epochs of the students whose accuracies are compared.")
    ] = 2,
    timed_epochs: Annotated[
        int, typer.Option(min=1, help="Epochs of the student that is timed.")
    ] = 6,
    teacher: Annotated[str, typer.Option(help="encoder, or encoder:FOLDER.")] = "encoder",
    encoder: Annotated[
        EncoderKind, typer.Option(help="Text encoder of the student for export and predict.")
    ] = "hashing",
    workers_alone: Annotated[
        bool,
        typer.Option("--workers-alone", help="Measure teach with one worker and with two only."),
    ] = False,
) -> None:
    """Measure, print and write results/ray_STAGE.json and ray_STAGE.md."""
    if workers_alone and stage != "teach":
        raise typer.BadParameter("--workers-alone applies only to teach; leave it out")
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
            epochs=epochs, batch_size=BATCH, patience=timed_epochs + epochs, device="cpu"
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        graph = synthetic_graph(SyntheticOptions(nodes=nodes))
        save_graph(graph, home / "graph")
        work: dict[Stage, Callable[[Place], Figures]] = {
            "teach": lambda place: taught(place, asking),
            "distill": lambda place: distilled(place, options, timed_epochs),
            "export": exported,
            "predict": predicted,
        }
        if stage in PASSES:
            own = replace(options.training, epochs=1)
            texts = asked if stage == "predict" else 0
            prepare(home, replace(options, encoder=encoder, training=own), texts)
        found = {}
        ways = (*WAYS, BESIDE) if stage == "distill" else WAYS
        for way in (ONE, TWO) if workers_alone else ways:
            with placed(way, home) as place:
                found[way.name] = work[stage](place)
            typer.echo(f"{way.name}: {found[way.name]}")
    conditions: dict[Stage, str] = {
        "teach": f", {asked:,} nodes asked about at hops 0 and 1",
        "distill": f"; {timed_epochs} epochs timed, {epochs} compared, of {BATCH:,} nodes "
        "a step and worker",
        "export": f"; a student of {encoder} texts",
        "predict": f"; {asked:,} texts with neighbours, a student of {encoder} texts",
    }
    text = report(stage, found, described(graph) + conditions[stage])
    name = f"ray_{stage}_{encoder}" if stage in PASSES else f"ray_{stage}"
    name += "_longer" if workers_alone else ""
    publish_results(name, results(stage, found), text)


def taught(place: Place, options: TeachOptions) -> Figures:
    """Asks the teacher once; in a way that kills, one worker is killed meanwhile."""
    elsewhere = None
    if place.cluster is not None:
        from training.cluster.asking import on_cluster

        elsewhere = on_cluster(place.cluster, place.graph)
    progress = killing(ACTOR, ASKING) if place.way.killed else silent
    started = time.perf_counter()
    teach(place.graph, place.out, options, progress, elsewhere=elsewhere)
    return Figures(time.perf_counter() - started, file_digest(place.out / "answers.safetensors"))


def distilled(place: Place, options: DistillOptions, timed_epochs: int) -> Figures:
    """Trains students with the way's seeds, and one more that is timed."""
    figures = Figures()
    for seed in place.way.seeds:
        progress = killing(WORKER, TRAINING) if place.way.killed else silent
        training = replace(options.training, seed=seed)
        for metrics in students(place, training, options, progress):
            figures.val_accuracy.append(metrics["val_accuracy"])
            figures.compared_seconds.append(metrics["seconds"])
    if place.way.timed:
        started = time.perf_counter()
        metrics = student(place, replace(options.training, epochs=timed_epochs), options, silent)
        figures.seconds = time.perf_counter() - started
        figures.training_seconds = metrics["seconds"]
    return figures


def students(
    place: Place, training: TrainingConfig, options: DistillOptions, progress: Progress
) -> list[dict[str, float]]:
    """Trains a student, or two at once in separate processes; returns the metrics of each."""
    if not place.way.twice:
        return [student(place, training, options, progress)]
    with ProcessPoolExecutor(2, get_context("spawn"), torch.set_num_threads, (1,)) as processes:
        places = [replace(place, out=place.out.with_suffix(f".{one}")) for one in range(2)]
        begun = [processes.submit(student, own, training, options, progress) for own in places]
        return [one.result() for one in begun]


def student(
    place: Place, training: TrainingConfig, options: DistillOptions, progress: Progress
) -> dict[str, float]:
    """Trains a student; returns its metrics."""
    out, own = place.out, replace(options, training=training)
    if place.cluster is None:
        return distill(place.graph, out, own, progress)
    from training.cluster.fitting import fitted_on

    with fitted_on(place.cluster, place.graph, out, None) as there:
        return distill(place.graph, out, replace(own, fitting=True), progress, elsewhere=there)


def results(stage: Stage, found: dict[str, Figures]) -> PassResults | TeachResults | DistillResults:
    """Summarises the figures of all ways, as they are committed."""
    if stage in PASSES:
        return pass_results(found)
    return teach_results(found) if stage == "teach" else distill_results(found)


def ratio_of(found: dict[str, Figures]) -> float:
    return round(found[TWO.name].seconds / found[ONE.name].seconds, 3)


def seconds_of(found: dict[str, Figures]) -> dict[str, float]:
    return {name: round(own.seconds, 1) for name, own in found.items() if own.seconds}


def teach_results(found: dict[str, Figures]) -> TeachResults:
    equal = len({own.answers for own in found.values()}) == 1
    return TeachResults(ratio_of(found), seconds_of(found), equal)


def distill_results(found: dict[str, Figures]) -> DistillResults:
    one, two = found[ONE.name], found[TWO.name]
    steps = {name: round(own.training_seconds, 1) for name, own in found.items() if own.seconds}
    accuracies = {
        name: [round(value, 4) for value in own.val_accuracy]
        for name, own in found.items()
        if own.val_accuracy
    }
    alone, shared = (np.array(found[way.name].val_accuracy) for way in (ALONE, TWO))
    by_itself, beside = (np.mean(found[way.name].compared_seconds) for way in (ALONE, BESIDE))
    return DistillResults(
        ratio=ratio_of(found),
        seconds=seconds_of(found),
        training_seconds=steps,
        training_ratio=round(two.training_seconds / one.training_seconds, 3),
        left_by_the_machine=round(float(beside / by_itself) / 2, 3),
        val_accuracy=accuracies,
        difference=round(float((shared - alone).mean()), 4),
        spread=round(float(np.std(alone, ddof=1)), 4),
        killed_is_the_same=found[KILLED.name].val_accuracy == two.val_accuracy[:1],
    )


def report(stage: Stage, found: dict[str, Figures], title: str) -> str:
    if stage in PASSES:
        return pass_report(found, title)
    return teach_report(found, title) if stage == "teach" else distill_report(found, title)


def teach_report(found: dict[str, Figures], title: str) -> str:
    values = teach_results(found)
    rows = [[name, f"{seconds:.1f}"] for name, seconds in values.seconds.items()]
    equal = "equal, byte for byte" if values.equal_answers else "NOT equal"
    return (
        f"{title}.\n\n{markdown_table(['', 'seconds'], rows)}\nTwo workers take "
        f"{values.ratio:.2f} of one's time. The teacher's answers are {equal}.\n"
    )


def distill_report(found: dict[str, Figures], title: str) -> str:
    values = distill_results(found)
    rows = [
        [
            name,
            f"{values.seconds.get(name, '')}",
            f"{values.training_seconds.get(name, '')}",
            " ".join(f"{value:.4f}" for value in own.val_accuracy),
        ]
        for name, own in found.items()
    ]
    header = ["", "seconds", "of them training", "validation accuracy, by seed"]
    same = "the same" if values.killed_is_the_same else "ANOTHER"
    return (
        f"{title}.\n\n{markdown_table(header, rows)}\nTwo workers take {values.ratio:.2f} of "
        f"one's time, {values.training_ratio:.2f} without what starting takes; this machine "
        f"leaves {values.left_by_the_machine:.2f}, by two processes that share nothing. Over "
        f"the seeds their validation accuracy is {values.difference:+.4f} from that without "
        f"Ray, whose standard deviation is {values.spread:.4f}. With one killed the student is "
        f"{same}.\n"
    )
