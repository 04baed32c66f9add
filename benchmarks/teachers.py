"""Measures the accuracy of teachers on one split, and of the students that each one teaches.

    python -m benchmarks.teachers GRAPH TEACHER... [--seeds 5]

GRAPH's own split is used as it is; TEACHER are folders of `understudy teach` on it, a graph
network's included, which is the control beside a language model. Students are GraphSAGE by
`understudy distill`, with its defaults, from initialisations of their own; what is chosen, is
chosen on validation. One split tells nothing about another: `understudy evaluate` has splits.
"""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.common.command import run_script
from benchmarks.common.results import markdown_table, publish_results
from training.config import ENCODER_KINDS, DistillOptions, EncoderKind, TrainingConfig
from training.distill import distill
from training.teacher.answers.folder import TeacherInfo, read_info
from training.teacher.answers.views import view_names
from training.terminal import quiet_libraries
from understudy.graph import load_graph
from understudy.progress import Progress, terminal_progress

ALONE = "alone"
SPLITS = ("val", "test")
SECONDS = ("tuning_seconds", "asking_seconds")


@dataclass(frozen=True, slots=True)
class StudentResult:
    """The result of one student; accuracies are shares."""

    teacher: str  # name of its folder, or ALONE
    encoder: str
    seed: int
    val_accuracy: float
    test_accuracy: float

    def accuracy(self, split: str) -> float:
        return self.val_accuracy if split == "val" else self.test_accuracy


@dataclass(frozen=True, slots=True)
class TeachersResults:
    """The content of results/teachers_GRAPH.json; by the teachers' folders."""

    graph: str
    models: dict[str, str]
    teachers: dict[str, dict[str, float]]  # metrics
    students: list[StudentResult]


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    teachers: Annotated[list[Path], typer.Argument(help="Teacher folders about it.")],
    seeds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measure, print and write results/teachers_GRAPH.json."""
    quiet_libraries()
    infos = {folder.name: read_info(folder) for folder in teachers}
    with terminal_progress() as progress:
        runs = list(students(graph, teachers, seeds, progress))
    name = load_graph(graph).name
    text = f"{name}, its own split; {seeds} initialisations a student.\n\n"
    text += teacher_table(infos) + "\n" + student_table(runs)
    metrics = {folder: dict(info.metrics) for folder, info in infos.items()}
    models = {folder: info.model for folder, info in infos.items()}
    results = TeachersResults(name, models, metrics, runs)
    publish_results(f"teachers_{name}", results, text)


def students(
    graph: Path, teachers: list[Path], seeds: int, progress: Progress
) -> Iterator[StudentResult]:
    """Trains a student per teacher (or none), encoder and seed; yields its accuracies."""
    for teacher in (None, *teachers):
        for encoder in ENCODER_KINDS:
            for seed in range(seeds):
                metrics = student(graph, teacher, encoder, seed, progress)
                name = ALONE if teacher is None else teacher.name
                val, test = (metrics[f"{split}_accuracy"] for split in SPLITS)
                yield StudentResult(name, encoder, seed, val, test)


def student(
    graph: Path, teacher: Path | None, encoder: EncoderKind, seed: int, progress: Progress
) -> dict[str, float]:
    options = DistillOptions(encoder=encoder, teacher=teacher, training=TrainingConfig(seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        return distill(graph, Path(folder) / "student", options, progress)


def percent(values: list[float]) -> str:
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{deviation}"


def teacher_table(infos: dict[str, TeacherInfo]) -> str:
    """Accuracy on validation and test of every view, in percent, and the seconds they took."""
    rows = [
        (
            name,
            view,
            *(percent([info.metrics[f"{split}_accuracy_{view}"]]) for split in SPLITS),
            *(f"{info.metrics[key]:,.0f}" if key in info.metrics else "" for key in SECONDS),
        )
        for name, info in infos.items()
        for view in view_names(info.metrics)
    ]
    return markdown_table(
        ["teacher", "answers", "validation", "test", "tuning s", "asking s"], rows
    )


def student_table(runs: list[StudentResult]) -> str:
    cells: dict[tuple[str, str], list[StudentResult]] = {}
    for run in runs:
        cells.setdefault((run.teacher, run.encoder), []).append(run)
    rows = [
        (*cell, *(percent([run.accuracy(split) for run in own]) for split in SPLITS))
        for cell, own in cells.items()
    ]
    return markdown_table(["taught by", "features", "validation", "test"], rows)


if __name__ == "__main__":
    run_script(main)
