"""Test accuracy of plain students (no teacher) on a graph's own split, over several seeds.

    python -m benchmarks.plain_student GRAPH [--seeds 5]

Every epoch is chosen on validation; the test split is read once, at the end of each run.
"""

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure import markdown_table, write_results
from graph import check_split, load_graph
from training.checkpoint import CheckpointConfig
from training.config import StudentConfig, TrainingConfig
from training.data import graph_data
from training.distill import fit, student_metrics
from training.encoding import ENCODER_KINDS, encoder_spec, graph_features


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    seeds: Annotated[int, typer.Option(min=2)] = 5,
) -> None:
    """Train, print and write results/plain_student.json."""
    data = load_graph(graph)
    check_split(data)
    rows = []
    results = {}
    for kind in ENCODER_KINDS:
        spec = encoder_spec(kind)
        tensors = graph_data(data, graph_features(data, spec))
        config = CheckpointConfig(
            student=StudentConfig(),
            training=TrainingConfig(),
            encoder=spec,
            graph_path=str(graph),
            graph_name=data.name,
            graph_hash=data.content_hash,
            label_names=data.label_names,
            terms={"cross_entropy": 1.0},
        )
        runs = []
        for seed in range(seeds):
            student, training = fit(replace(config, training=TrainingConfig(seed=seed)), tensors)
            runs.append(student_metrics(student, tensors, training))
            typer.echo(f"{kind}, seed {seed}: {runs[-1]['test_accuracy']:.4f}")
        results[kind] = runs
        columns = ("val_accuracy", "test_accuracy", "test_macro_f1")
        rows.append([kind, *(spread([run[column] for run in runs]) for column in columns)])
    header = ["encoder", "validation accuracy", "test accuracy", "test macro-F1"]
    table = f"Plain GraphSAGE on {data.name}, its own split, {seeds} seeds, mean ± deviation:\n\n"
    table += markdown_table(header, rows)
    write_results("plain_student", {"graph": data.name, "runs": results}, table)
    typer.echo(table)


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


if __name__ == "__main__":
    typer.run(main)
