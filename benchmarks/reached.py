"""Measures accuracy if a teacher is asked about few nodes, with and without spreading its answers.

    python -m benchmarks.reached EVALUATION... [--shares 0.05,0.15,0.5] [--splits 2]

EVALUATION is a folder of `understudy evaluate` or `benchmarks.accuracy`, with teachers that were
asked about every node and learnt from all training labels. Only a share of their answers is used,
to teach a student by soft labels on unlabelled nodes: on the asked nodes alone, or also on those
that smoothing reaches. The choice that validation would make among these, and labels alone, is
reported as well. The results of other evaluations, from earlier calls, are kept.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.common.command import run_script
from benchmarks.common.results import RESULTS, markdown_table, publish_results, read_results
from training.config import EncoderKind, StudentKind
from training.data import Targets, graph_data
from training.encoders.features import encoder_spec, graph_features
from training.evaluation.plan import EvaluationOptions, RunKey
from training.evaluation.run import TrainingInputs, run
from training.recipe_names import VANILLA
from training.teacher.answers import views
from training.teacher.answers.folder import HopAnswers, read_teacher
from training.teacher.answers.smoothing import with_smoothed_view
from training.teacher.answers.views import make_targets
from understudy.graph import TextGraph, load_graph
from understudy.progress import terminal_progress

OPTIONS = EvaluationOptions()
STUDENT: StudentKind = "sage"
ALONE, ASKED, REACHED, ALL = "labels alone", "asked", "asked and reached", "all asked"


@dataclass(frozen=True, slots=True)
class ReachedRun:
    """One trained student; accuracies are shares."""

    evaluation: str
    encoder: str
    split: int
    share: float  # of the nodes, whose answers are kept
    way: str  # what taught it
    val_accuracy: float
    test_accuracy: float


@dataclass(frozen=True, slots=True)
class ReachedResults:
    """The content of results/reached.json."""

    runs: list[ReachedRun]


def main(
    evaluations: Annotated[list[Path], typer.Argument(help="Folders with splits and teachers.")],
    shares: Annotated[str, typer.Option(help="Of the nodes, asked about.")] = "0.05,0.15,0.5",
    splits: Annotated[int, typer.Option(min=1)] = 2,
    encoder: Annotated[EncoderKind, typer.Option()] = "hashing",
) -> None:
    """Train, print and write results/reached.json."""
    results: list[ReachedRun] = []
    wanted = [float(share) for share in shares.split(",")]
    with terminal_progress() as progress:
        for evaluation in evaluations:
            for split in range(splits):
                graph = load_graph(evaluation / "splits" / str(split))
                spec = encoder_spec(encoder)
                data = graph_data(graph, graph_features(graph, spec, None, progress))
                for share, way, targets in ways(graph, evaluation, split, wanted):
                    inputs = TrainingInputs(replace(data, targets=targets), spec, graph.label_names)
                    recipe = VANILLA if targets is None else "unlabeled"
                    key = RunKey(split, 0, encoder, STUDENT, recipe)
                    metrics = run(key, inputs, OPTIONS, OPTIONS.default_choice)["metrics"]
                    accuracies = metrics["val_accuracy"], metrics["test_accuracy"]
                    results.append(
                        ReachedRun(evaluation.name, encoder, split, share, way, *accuracies)
                    )
                    typer.echo(results[-1])
    publish(results)


def ways(
    graph: TextGraph, evaluation: Path, split: int, shares: list[float]
) -> Iterator[tuple[float, str, Targets | None]]:
    """Yields the share of asked nodes, a name, and a student's targets; None for labels alone."""
    yield 0.0, ALONE, None
    info, answers = read_teacher(evaluation / "teachers" / str(split), graph)
    yield 1.0, ALL, make_targets(graph, info.hops, answers)
    order = np.random.default_rng(split).permutation(graph.num_nodes)
    for share in shares:
        some = with_smoothed_view(
            graph, info.hops, part(answers, np.sort(order[: round(share * len(order))]))
        )
        yield share, ASKED, make_targets(graph, info.hops, some)
        yield share, REACHED, make_targets(graph, info.hops, some, view=views.REACHED)


def part(answers: HopAnswers, rows: NDArray[np.int64]) -> HopAnswers:
    """The answers about some of the nodes, not smoothed."""
    return HopAnswers(
        answers.nodes[rows],
        answers.log_probabilities[:, rows],
        joint=None if answers.joint is None else answers.joint[rows],
        tuned=answers.tuned,
    )


def publish(results: list[ReachedRun]) -> None:
    """Writes the results beside those of other evaluations from earlier calls."""
    path = RESULTS / "reached.json"
    if path.is_file():
        new = {run.evaluation for run in results}
        earlier = read_results(path, ReachedResults, "python -m benchmarks.reached").runs
        results = [run for run in earlier if run.evaluation not in new] + results
    table = report(results)
    publish_results("reached", ReachedResults(results), table)


def report(results: list[ReachedRun]) -> str:
    header = [
        "graph and split",
        "features",
        "splits",
        "share asked",
        ALONE,
        ASKED,
        REACHED,
        ALL,
        "validation chooses",
    ]
    rows = []
    for evaluation in dict.fromkeys(r.evaluation for r in results):
        own = [r for r in results if r.evaluation == evaluation]
        for share in sorted({r.share for r in own} - {0.0, 1.0}):
            cells = {way: mean(own, way, share) for way in (ALONE, ASKED, REACHED, ALL)}
            chosen = max((ALONE, ASKED, REACHED), key=lambda way: cells[way][0])
            texts = [f"{100 * test:.1f}" for _, test in cells.values()]
            splits = len({r.split for r in own})
            rows.append([evaluation, own[0].encoder, splits, f"{share:.0%}", *texts, chosen])
    return (
        f"Test accuracy of {STUDENT}, a teacher for each split, of whose answers those about a "
        f"share of the nodes are kept:\n\n{markdown_table(header, rows)}"
    )


def mean(results: list[ReachedRun], way: str, share: float) -> tuple[float, float]:
    """Mean validation and test accuracy."""
    own = [r for r in results if r.way == way and r.share in (share, 0.0, 1.0)]
    validation = statistics.mean(r.val_accuracy for r in own)
    return validation, statistics.mean(r.test_accuracy for r in own)


if __name__ == "__main__":
    run_script(main)
