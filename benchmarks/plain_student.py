"""Test accuracy of plain GraphSAGE (no teacher) on a graph's own split, over several seeds.

    python -m benchmarks.plain_student GRAPH [--seeds 5]

Every epoch is chosen by validation accuracy; the test split is read once a run. Both settings are
reported, whatever they give.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.measure import markdown_table, write_results
from graph import check_split, load_graph
from training.config import ObjectiveOptions, StudentConfig, TrainingConfig
from training.data import GraphData, graph_data
from training.encoding import EncoderKind, EncoderSpec, encoder_spec, graph_features
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
    Setting("default", StudentConfig(), 3e-3, 1e-2),
    # The customary ones of small citation graphs (GCN, arXiv 1609.02907, section 5.2).
    Setting(
        "textbook",
        StudentConfig(residual=False, normalization="none", input_dropout=0.5),
        1e-2,
        5e-4,
    ),
)


COLUMNS = ("val_accuracy", "test_accuracy", "test_macro_f1")


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    encoder: Annotated[EncoderKind, typer.Option()] = "minilm",
    seeds: Annotated[int, typer.Option(min=2)] = 5,
) -> None:
    """Train, print and write results/plain_student.json."""
    source = load_graph(graph)
    check_split(source)
    rows = []
    results = []
    spec = encoder_spec(encoder)
    data = graph_data(source, graph_features(source, spec))
    for setting in SETTINGS:
        runs = [run(setting, spec, data, seed) for seed in range(seeds)]
        results.append({"encoder": encoder, "setting": setting.name, "runs": runs})
        rows.append([encoder, setting.name, *(spread(runs, column) for column in COLUMNS)])
        typer.echo(" ".join(map(str, rows[-1])))
    header = ["encoder", "settings", "validation accuracy", "test accuracy", "test macro-F1"]
    table = f"Plain GraphSAGE on {source.name}, its own split, {seeds} seeds, mean ± deviation:\n\n"
    table += markdown_table(header, rows)
    write_results("plain_student", {"graph": source.name, "students": results}, table)
    typer.echo(table)


def run(setting: Setting, spec: EncoderSpec, data: GraphData, seed: int) -> dict[str, float]:
    """One trained student's figures, by the names of COLUMNS."""
    torch.manual_seed(seed)
    classes = int(data.labels.max()) + 1
    student = Student(setting.student, spec.dimension, classes, spec.kind == "hashing")
    config = TrainingConfig(
        learning_rate=setting.learning_rate, weight_decay=setting.weight_decay, seed=seed
    )
    terms = make_terms({LABELS: 1.0}, data, setting.student, ObjectiveOptions())
    training = train(student, data, terms, config)
    found = score(predict(student, data)[data.test].numpy(), data.labels[data.test].numpy())
    best = training.epochs[training.best_epoch].val_accuracy
    return dict(zip(COLUMNS, (best, found.accuracy, found.macro_f1), strict=True))


def spread(runs: Sequence[dict[str, float]], column: str) -> str:
    values = [run[column] for run in runs]
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    typer.run(main)
