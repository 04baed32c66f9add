"""Teaching and distilling on a local cluster of Ray, by one worker and by two, of one core each.

    python -m benchmarks.ray_stages [--nodes 100000] [--asked 2000] [--epochs 3]

Beside them both stages without Ray, on one core, too; and by two workers of which one is killed.
Seconds are of a stage, from its command to its folder, on a cluster that runs: workers start in
them. The teacher is an encoder with a fitted head (MiniLM, or a folder), the student hashes texts.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import psutil
import torch
import typer

from benchmarks.errors import BenchmarkError
from benchmarks.measure import described, markdown_table, run_script, write_results
from training.cluster.joining import LOCAL, joined
from training.config import DistillOptions, StudentConfig, TrainingConfig
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
from understudy.graph.progress import Progress, silent
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

ACTOR, WORKER = "ray::MapWorker", "ray::RayTrainWorker"  # as processes are called
SEEDS = (0, 1, 2)


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    workers: int = 0  # 0: without Ray
    killed: bool = False  # one of them, once


WAYS = (
    Way("without Ray"),
    Way("one worker", 1),
    Way("two workers", 2),
    Way("two, one killed", 2, killed=True),
)


@dataclass(slots=True)
class Figures:
    """Of one way."""

    teach_seconds: float = 0.0
    distill_seconds: list[float] = field(default_factory=list)  # by seed
    answers: str = ""  # SHA-256 of the teacher's answers
    val_accuracy: list[float] = field(default_factory=list)  # by seed


def main(
    nodes: Annotated[int, typer.Option(min=100, help="Of the synthetic graph.")] = 100_000,
    asked: Annotated[
        int, typer.Option(min=1, help="Nodes that the teacher is asked about.")
    ] = 2_000,
    epochs: Annotated[int, typer.Option(min=1, help="Of a student.")] = 3,
    batch_size: Annotated[int, typer.Option(min=2, help="Nodes a step.")] = BATCH,
    teacher: Annotated[str, typer.Option(help="encoder, or encoder:FOLDER.")] = "encoder",
) -> None:
    """Measure, print and write results/ray.json and ray.md."""
    quiet_libraries()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        graph = synthetic_graph(SyntheticOptions(nodes=nodes))
        save_graph(graph, home / "graph")
        asking = TeachOptions(
            teacher,
            hops=(0, 1),
            encoder=EncoderOptions(frozen=True),
            budget=Budget(nodes=asked),
            part_prompts=128,
        )
        student = DistillOptions(
            encoder="hashing",
            student=StudentConfig(hidden=64),
            training=TrainingConfig(epochs=epochs, batch_size=batch_size),
        )
        found = {way.name: measured(way, home, asking, student) for way in WAYS}
    title = f"{described(graph)}, {asked:,} asked about at hops 0 and 1"
    text = report(found, f"{title}; {epochs} epochs of {batch_size:,} nodes a step")
    write_results("ray", results(found), text)
    typer.echo(text)


def measured(way: Way, home: Path, asking: TeachOptions, student: DistillOptions) -> Figures:
    """Both stages, the students' over the seeds; a worker is killed in the first run of each."""
    graph, place = home / "graph", home / way.name.replace(" ", "-")
    figures = Figures()
    with ExitStack() as stack:
        elsewhere: dict[str, Any] = {}
        if way.workers:
            cluster = stack.enter_context(joined(LOCAL, way.workers))
            from training.cluster.asking import asked_on
            from training.cluster.fitting import fitted_on

            elsewhere["teach"] = asked_on(cluster, graph)
        started = time.perf_counter()
        told = killing(ACTOR, ASKING) if way.killed else silent
        teach(graph, place / "teacher", asking, told, elsewhere=elsewhere.get("teach"))
        figures.teach_seconds = time.perf_counter() - started
        figures.answers = file_digest(place / "teacher" / "answers.safetensors")
        for seed in SEEDS:
            options = replace(student, training=replace(student.training, seed=seed))
            told = killing(WORKER, TRAINING) if way.killed and seed == SEEDS[0] else silent
            started = time.perf_counter()
            with ExitStack() as own:
                out = place / f"student-{seed}"
                fit = own.enter_context(fitted_on(cluster, graph, out, None)) if elsewhere else None
                metrics = distill(graph, out, options, told, elsewhere=fit)
            figures.distill_seconds.append(time.perf_counter() - started)
            figures.val_accuracy.append(metrics["val_accuracy"])
    return figures


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


def results(found: dict[str, Figures]) -> dict[str, Any]:
    def ratio(seconds: Callable[[Figures], float]) -> float:
        return round(seconds(found["two workers"]) / seconds(found["one worker"]), 3)

    return {
        "ways": {
            name: {
                "teach_seconds": round(figures.teach_seconds, 1),
                "distill_seconds": [round(seconds, 1) for seconds in figures.distill_seconds],
                "val_accuracy": [round(accuracy, 4) for accuracy in figures.val_accuracy],
            }
            for name, figures in found.items()
        },
        "teach_ratio": ratio(lambda figures: figures.teach_seconds),
        "distill_ratio": ratio(lambda figures: sum(figures.distill_seconds)),
        "equal_answers": len({figures.answers for figures in found.values()}) == 1,
    }


def report(found: dict[str, Figures], title: str) -> str:
    values = results(found)
    rows = [
        [
            name,
            f"{figures.teach_seconds:.1f}",
            " ".join(f"{seconds:.1f}" for seconds in figures.distill_seconds),
            " ".join(f"{accuracy:.4f}" for accuracy in figures.val_accuracy),
        ]
        for name, figures in found.items()
    ]
    header = ["", "teach, s", "distill, s, by seed", "validation accuracy, by seed"]
    equal = "equal, byte for byte" if values["equal_answers"] else "NOT equal"
    return (
        f"{title}.\n\n{markdown_table(header, rows)}\nTwo workers take {values['teach_ratio']:.2f} "
        f"of one's time to teach and {values['distill_ratio']:.2f} to distill. The teacher's "
        f"answers are {equal}.\n"
    )


if __name__ == "__main__":
    run_script(main)
