"""Test accuracy of plain GraphSAGE (no teacher) on a graph's own split, over several seeds.

    python -m benchmarks.plain_student GRAPH [--seeds 5]

The network's settings are chosen among `SETTINGS` by mean validation accuracy, every epoch by
validation accuracy; the test split is read for the chosen settings alone.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.measure import markdown_table, write_results
from graph import check_split, load_graph
from training.config import ObjectiveOptions, StudentConfig, TrainingConfig
from training.data import GraphData, graph_data
from training.encoding import ENCODER_KINDS, EncoderSpec, encoder_spec, graph_features
from training.loop import predict, train
from training.metrics import score
from training.objectives.registry import LABELS, make_terms
from training.student import Student


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    student: StudentConfig
    learning_rate: float
    weight_decay: float


SETTINGS = (
    Setting("residual, layer norm", StudentConfig(), 3e-3, 1e-2),
    Setting(
        "bare, input dropout",
        StudentConfig(residual=False, normalization="none", input_dropout=0.5),
        1e-2,
        5e-4,
    ),
)


@dataclass(frozen=True, slots=True)
class Run:
    val_accuracy: float
    logits: Tensor  # of the best epoch, [N, classes]


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    seeds: Annotated[int, typer.Option(min=2)] = 5,
) -> None:
    """Train, print and write results/plain_student.json."""
    source = load_graph(graph)
    check_split(source)
    rows = []
    results = {}
    for kind in ENCODER_KINDS:
        spec = encoder_spec(kind)
        data = graph_data(source, graph_features(source, spec))
        runs = {}
        for setting in SETTINGS:
            runs[setting.name] = [run(setting, spec, data, seed) for seed in range(seeds)]
            typer.echo(f"{kind}, {setting.name}: {validation(runs[setting.name]):.4f}")
        results[kind] = summary(runs, data)
        rows.append(row(kind, results[kind]))
    header = ["encoder", "settings chosen", "validation accuracy", "test accuracy", "test macro-F1"]
    table = f"Plain GraphSAGE on {source.name}, its own split, {seeds} seeds, mean ± deviation:\n\n"
    table += markdown_table(header, rows)
    write_results("plain_student", {"graph": source.name, "encoders": results}, table)
    typer.echo(table)


def run(setting: Setting, spec: EncoderSpec, data: GraphData, seed: int) -> Run:
    torch.manual_seed(seed)
    classes = int(data.labels.max()) + 1
    student = Student(setting.student, spec.dimension, classes, spec.kind == "hashing")
    config = TrainingConfig(
        learning_rate=setting.learning_rate, weight_decay=setting.weight_decay, seed=seed
    )
    terms = make_terms({LABELS: 1.0}, data, setting.student, ObjectiveOptions())
    training = train(student, data, terms, config)
    return Run(training.epochs[training.best_epoch].val_accuracy, predict(student, data))


def validation(runs: Sequence[Run]) -> float:
    return statistics.mean(run.val_accuracy for run in runs)


def summary(runs: dict[str, list[Run]], data: GraphData) -> dict[str, object]:
    """The settings with the best mean validation accuracy, and their test figures."""
    chosen = max(runs, key=lambda name: validation(runs[name]))
    labels = data.labels[data.test].numpy()
    scores = [score(run.logits[data.test].numpy(), labels) for run in runs[chosen]]
    return {
        "validation_by_setting": {name: validation(own) for name, own in runs.items()},
        "chosen": chosen,
        "val_accuracy": [run.val_accuracy for run in runs[chosen]],
        "test_accuracy": [found.accuracy for found in scores],
        "test_macro_f1": [found.macro_f1 for found in scores],
    }


def row(kind: str, found: dict[str, object]) -> list[object]:
    columns = ("val_accuracy", "test_accuracy", "test_macro_f1")
    return [kind, found["chosen"], *(spread(found[column]) for column in columns)]


def spread(values: object) -> str:
    assert isinstance(values, list)
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    typer.run(main)
