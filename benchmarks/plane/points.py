"""Collects the points of accuracy and latency: teachers, students, an MLP, and decision models.

    python -m benchmarks.plane [GRAPH] [--labels 20-per-class]

Drawn from committed results alone, into results/plane.png, with the figures in plane.json and .md:
accuracies from results/accuracy/*/runs.parquet and, of teachers that were asked on the graph's own
split only, from teachers_GRAPH.json; latencies from latency.json, of one unseen node of 8 words in
process. A student's latency is that of GraphSAGE with its text encoder, which bounds an MLP's from
above. Decision models are lines, since their makers publish a latency and nobody an accuracy here.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import stats

from benchmarks.accuracy.page import FOLDER, SEEN, UNSEEN, committed
from benchmarks.common.command import check_programs
from benchmarks.common.results import RESULTS, markdown_table, publish_results, read_results
from benchmarks.errors import BenchmarkError
from benchmarks.latency import Latencies, Latency
from benchmarks.plane.picture import draw
from benchmarks.plane.point import PlaneResults, Point
from benchmarks.teachers import TeachersResults
from training.evaluation.rows import Record, Row
from training.evaluation.statistics import by_split
from training.evaluation.tables import ENCODERS, LABELS, STUDENTS, TAUGHT_BY
from training.recipe_names import GRAPH, SELF, UNSMOOTHED, VANILLA
from training.teacher.answers.views import REACHED, SMOOTHED, view_names

UNSEEN_NODES = "unseen, 8 words"  # the nodes of latency.json
# Recipes that are shown: of every teacher the first one; the others need no language model.
SHOWN = ("unlabeled", VANILLA, SELF, GRAPH)
LEVEL = 0.95  # of intervals
STUDENT_LATENCY = {  # by text encoder, as latency.json names students
    "hashing": f"student (murmur3-log-unit/1), in process, {UNSEEN_NODES}",
    "minilm": f"student (sentence-transformers/all-MiniLM-L6-v2), in process, {UNSEEN_NODES}",
}
TEACHERS = {"minilm": "MiniLM", "encoder": "MiniLM", "gemma": "Gemma 3 270M"}  # by first word
NO_ACCURACY = "Llama shape 1.1B (latency only)"


def main(
    graph: Annotated[str, typer.Argument(help="Its name in the committed runs.")] = "cora",
    labels: Annotated[str, typer.Option(help=f"Of {', '.join(LABELS)}.")] = "20-per-class",
    students: Annotated[str, typer.Option(help="Networks that are shown.")] = "sage,mlp",
) -> None:
    """Draw results/plane.png, and write its figures."""
    check_programs()
    records = of_graph(committed(FOLDER), graph, labels)
    rows = [row for record in records for row in record.rows if row.split_kind == labels]
    latencies = read_results(RESULTS / "latency.json", Latencies)
    shown = [row for row in rows if row.student in students.split(",")]
    points = [*student_points(shown, latencies), *teacher_points(rows, latencies)]
    points += own_split_teachers(RESULTS / f"teachers_{graph}.json", latencies, points)
    facts = records[0].facts
    title = (
        f"{graph}: {facts['nodes']:,} nodes, {facts['edges']:,} edges, {facts['classes']} classes; "
        f"{LABELS[labels]}; {splits_of(points)}"
    )
    timed = f"one unseen node of 8 words, in process; measured on {latencies.settings.graph}"
    without = {NO_ACCURACY: latencies.latency[f"{NO_ACCURACY}, {UNSEEN_NODES}"].p50}
    draw(RESULTS / "plane.png", points, without, title, timed)
    results = PlaneResults(title, timed, points, without)
    text = report(results)
    publish_results("plane", results, text)


def of_graph(records: Mapping[str, Record], graph: str, labels: str) -> list[Record]:
    """Selects the evaluations of a graph and a kind of split, except those of unseen nodes.

    Raises:
        BenchmarkError: there is none.
    """
    found = [
        record
        for name, record in records.items()
        if record.facts["graph"] == graph
        and record.facts["options"]["split_kind"] == labels
        and not name.endswith((UNSEEN, SEEN))
    ]
    if not found:
        raise BenchmarkError(
            f"no runs of {graph} at {labels} are in {FOLDER}; `python -m benchmarks.accuracy` "
            "makes them"
        )
    return found


def student_points(rows: Sequence[Row], latencies: Latencies) -> Iterator[Point]:
    """Yields students trained alone, taught without a language model, and by each teacher."""
    ways = dict.fromkeys((row.encoder, row.student, row.recipe, row.teacher) for row in rows)
    for way in ways:
        encoder, student, recipe, teacher = way
        if recipe not in SHOWN:
            continue
        own = [r for r in rows if (r.encoder, r.student, r.recipe, r.teacher) == way]
        by = TAUGHT_BY[recipe].format(teacher)
        by = by if recipe == VANILLA else f"taught by {by}"
        name = f"{STUDENTS[student]} on {ENCODERS[encoder]}, {by}"
        accuracies = list(by_split(own, "test_accuracy").values())
        times = latencies.latency[STUDENT_LATENCY[encoder]]
        yield point(name, encoder, student, recipe != VANILLA, accuracies, times)


def teacher_points(rows: Sequence[Row], latencies: Latencies) -> Iterator[Point]:
    """Yields language models, not smoothed over the edges, on the students' splits."""
    for teacher in dict.fromkeys(row.teacher for row in rows if row.recipe == UNSMOOTHED):
        own = [row for row in rows if row.recipe == UNSMOOTHED and row.teacher == teacher]
        timed = TEACHERS.get(teacher.partition(",")[0].lower())
        if timed is None:
            raise BenchmarkError(f"the teacher {teacher!r} is not one that `bench latency` times")
        accuracies = list(by_split(own, "taught_accuracy").values())
        times = latencies.latency[f"{timed}, {UNSEEN_NODES}"]
        yield point(f"{teacher}, asked", "teacher", "", False, accuracies, times)


def own_split_teachers(
    path: Path, latencies: Latencies, points: Sequence[Point]
) -> Iterator[Point]:
    """Yields tuned teachers that were asked on the graph's own split alone, in their best view."""
    if not path.is_file():
        return
    found = read_results(path, TeachersResults, "python -m benchmarks.teachers")
    known = {TEACHERS.get(p.name.partition(",")[0].lower()) for p in points if not p.student}
    for folder, metrics in found.teachers.items():
        timed = TEACHERS.get(found.models[folder])
        if timed is None or timed in known:
            continue
        views = [view for view in view_names(metrics) if view not in (SMOOTHED, REACHED)]
        best = max(views, key=lambda view: metrics[f"val_accuracy_{view}"])
        times = latencies.latency[f"{timed}, {UNSEEN_NODES}"]
        accuracies = [metrics[f"test_accuracy_{best}"]]
        yield point(f"{timed}, tuned, asked; own split", "teacher", "", False, accuracies, times)


def point(
    name: str,
    family: str,
    student: str,
    taught: bool,
    accuracies: Sequence[float],
    times: Latency,
) -> Point:
    """Makes a point, with a t-interval of the mean over splits if there are several."""
    values = 100 * np.array(accuracies)
    low = high = None
    if len(values) > 1:
        spread = stats.sem(values) * stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)
        low, high = float(values.mean() - spread), float(values.mean() + spread)
    mean = float(values.mean())
    return Point(name, family, student, taught, mean, low, high, len(values), times.p50, times.p95)


def splits_of(points: Sequence[Point]) -> str:
    counts = sorted({point.splits for point in points if point.low is not None})
    if not counts:
        return "n = 1 split, no intervals"
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"n = {n} splits, {LEVEL:.0%} t-intervals of the mean"


def report(results: PlaneResults) -> str:
    sources = f"{results.title}. Latency: {results.latency}."
    return f"![accuracy over latency](plane.png)\n\n{sources}\n\n{table(results.points)}"


def table(points: Sequence[Point]) -> str:
    rows = [
        [
            point.name,
            f"{point.accuracy:.1f}",
            "" if point.low is None else f"{point.low:.1f} to {point.high:.1f}",
            point.splits,
            f"{point.p50:.2f}",
            f"{point.p95:.2f}",
        ]
        for point in sorted(points, key=lambda point: point.p50)
    ]
    return markdown_table(
        ["who answers", "test accuracy, %", f"{LEVEL:.0%}", "splits", "p50 ms", "p95 ms"], rows
    )
