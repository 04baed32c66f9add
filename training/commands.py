"""This room on the command line."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from graph.progress import terminal_progress
from training.config import StudentConfig, StudentKind, TrainingConfig
from training.distill import DistillOptions
from training.distill import distill as run_distill
from training.encoding import EncoderKind

DEFAULT_STUDENT = StudentConfig()
DEFAULT_TRAINING = TrainingConfig()


def distill(
    graph: Annotated[Path, typer.Argument(help="Graph folder, see `understudy data`.")],
    out: Annotated[Path, typer.Argument(help="Student folder to write.")],
    student: Annotated[StudentKind, typer.Option(help="Network.")] = DEFAULT_STUDENT.kind,
    encoder: Annotated[
        EncoderKind, typer.Option(help="minilm: a transformer; hashing: n-grams, much faster.")
    ] = "minilm",
    encoder_path: Annotated[
        Path | None, typer.Option(help="MiniLM's folder, where it is not installed.")
    ] = None,
    layers: Annotated[int, typer.Option(min=1, max=8)] = DEFAULT_STUDENT.layers,
    hidden: Annotated[int, typer.Option(min=1)] = DEFAULT_STUDENT.hidden,
    dropout: Annotated[float, typer.Option(min=0, max=0.99)] = DEFAULT_STUDENT.dropout,
    epochs: Annotated[int, typer.Option(min=1, help="At most.")] = DEFAULT_TRAINING.epochs,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better validation accuracy.")
    ] = DEFAULT_TRAINING.patience,
    learning_rate: Annotated[float, typer.Option(min=0)] = DEFAULT_TRAINING.learning_rate,
    seed: Annotated[int, typer.Option(min=0)] = DEFAULT_TRAINING.seed,
) -> None:
    """Train a student network on a graph; its epoch is chosen on validation."""
    options = DistillOptions(
        encoder=encoder,
        encoder_path=encoder_path,
        student=StudentConfig(kind=student, layers=layers, hidden=hidden, dropout=dropout),
        training=TrainingConfig(
            epochs=epochs, patience=patience, learning_rate=learning_rate, seed=seed
        ),
    )
    with terminal_progress() as progress:
        metrics = run_distill(graph, out, options, progress)
    table = Table("split", "accuracy", "macro-F1", "calibration error", title=str(out))
    for name in ("train", "val", "test"):
        if f"{name}_accuracy" in metrics:
            keys = (f"{name}_{key}" for key in ("accuracy", "macro_f1", "calibration_error"))
            table.add_row(name, *(f"{metrics[key]:.3f}" for key in keys))
    Console().print(table)
