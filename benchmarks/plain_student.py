"""Test accuracy of plain GraphSAGE (no teacher), over several seeds and splits.

    python -m benchmarks.plain_student GRAPH [--seeds 5] [--trials 30] [--splits 10]

On the graph's own split: with the default settings, with a textbook's, and with those that a
search chose on validation. On random 60/20/20 splits: with the defaults. Every epoch is chosen by
validation accuracy; the test split is read once a run. All are reported, whatever they give.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.measure import markdown_table, write_results
from graph import TextGraph, check_split, load_graph
from training.config import ObjectiveOptions, TrainingConfig
from training.data import GraphData, graph_data
from training.encoding import EncoderKind, EncoderSpec, encoder_spec, graph_features
from training.evaluation.plan import VANILLA, Choice
from training.evaluation.search import best_choice
from training.evaluation.splits import split_graph
from training.loop import predict, train
from training.metrics import score
from training.objectives.registry import LABELS, make_terms
from training.student import Student

DEFAULT = Choice(hidden=256)
# The customary ones of small citation graphs (GCN, arXiv 1609.02907, section 5.2).
TEXTBOOK = Choice(learning_rate=1e-2, weight_decay=5e-4, input_dropout=0.5, hidden=256, bare=True)
SEARCH_SEEDS = (100, 101, 102)  # of a trial; none of them is reported
COLUMNS = ("val_accuracy", "test_accuracy", "test_macro_f1")


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    encoder: Annotated[EncoderKind, typer.Option()] = "minilm",
    seeds: Annotated[int, typer.Option(min=2)] = 5,
    trials: Annotated[int, typer.Option(min=1, help="Of the search.")] = 30,
    splits: Annotated[int, typer.Option(min=2, help="Random ones.")] = 10,
) -> None:
    """Train, print and write results/plain_student.json."""
    source = load_graph(graph)
    check_split(source)
    spec = encoder_spec(encoder)
    data = graph_data(source, graph_features(source, spec))
    settings = {
        "default": DEFAULT,
        "textbook": TEXTBOOK,
        f"best of {trials} on validation": searched(spec, data, trials),
    }
    results: list[dict[str, Any]] = []
    for name, choice in settings.items():
        runs = [run(choice, spec, data, seed) for seed in range(seeds)]
        results.append({"split": "own", "setting": name, "choice": asdict(choice), "runs": runs})
    runs = [run(DEFAULT, spec, drawn(source, data, number), number) for number in range(splits)]
    results.append(
        {"split": "random", "setting": "default", "choice": asdict(DEFAULT), "runs": runs}
    )
    header = ["split", "settings", "runs", "validation accuracy", "test accuracy", "test macro-F1"]
    rows = [
        [part["split"], part["setting"], len(part["runs"])]
        + [spread(part["runs"], column) for column in COLUMNS]
        for part in results
    ]
    table = (
        f"Plain GraphSAGE with {encoder} on {source.name}, mean ± deviation; the random splits are "
        f"60/20/20, one run each:\n\n{markdown_table(header, rows)}"
    )
    write_results(
        "plain_student", {"graph": source.name, "encoder": encoder, "students": results}, table
    )
    typer.echo(table)


def searched(spec: EncoderSpec, data: GraphData, trials: int) -> Choice:
    """The choice of the highest mean validation accuracy; the test split is not read."""
    blind = replace(data, test=data.val)

    def value(choice: Choice) -> float:
        runs = [run(choice, spec, blind, seed) for seed in SEARCH_SEEDS]
        return statistics.mean(run["val_accuracy"] for run in runs)

    return best_choice(value, VANILLA, trials)


def drawn(source: TextGraph, data: GraphData, seed: int) -> GraphData:
    """The same data with a random 60/20/20 split."""
    parts = split_graph(source, "60/20/20", seed).splits
    train, val, test = (torch.from_numpy(parts[name]) for name in ("train", "val", "test"))
    return replace(data, train=train, val=val, test=test)


def run(choice: Choice, spec: EncoderSpec, data: GraphData, seed: int) -> dict[str, float]:
    """One trained student's figures, by the names of COLUMNS."""
    torch.manual_seed(seed)
    config = choice.student("sage")
    classes = int(data.labels.max()) + 1
    student = Student(config, spec.dimension, classes, spec.kind == "hashing")
    terms = make_terms({LABELS: 1.0}, data, config, ObjectiveOptions())
    training = train(student, data, terms, choice.training(TrainingConfig(), seed))
    found = score(predict(student, data)[data.test].numpy(), data.labels[data.test].numpy())
    best = training.epochs[training.best_epoch].val_accuracy
    return dict(zip(COLUMNS, (best, found.accuracy, found.macro_f1), strict=True))


def spread(runs: Sequence[dict[str, float]], column: str) -> str:
    values = [run[column] for run in runs]
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    typer.run(main)
