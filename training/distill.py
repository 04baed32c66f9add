"""From a graph to a trained student on disk."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from graph import check_split, load_graph
from graph.progress import Progress, silent
from training.checkpoint import CheckpointConfig, build_student, save_checkpoint
from training.config import StudentConfig, TrainingConfig
from training.data import GraphData, graph_data
from training.encoding import encoder_spec, graph_features
from training.loop import Training, predict, train
from training.metrics import score
from training.objectives import Term, cross_entropy
from training.student import Student


@dataclass(frozen=True, slots=True)
class DistillOptions:
    encoder: str = "minilm"
    encoder_path: Path | None = None
    student: StudentConfig = field(default_factory=StudentConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def distill(
    graph_folder: Path, out: Path, options: DistillOptions, progress: Progress = silent
) -> dict[str, float]:
    """Trains a student on a graph's training split, picks its epoch on validation, writes it.

    The test split is read once, at the end, for the metrics that are returned and written.

    Raises:
        GraphError, TrainingError: see `graph.errors` and `training.errors`.
    """
    graph = load_graph(graph_folder)
    check_split(graph)
    spec = encoder_spec(options.encoder)
    data = graph_data(graph, graph_features(graph, spec, options.encoder_path, progress))
    config = CheckpointConfig(
        student=options.student,
        training=options.training,
        encoder=spec,
        graph_path=str(graph_folder.resolve()),
        graph_name=graph.name,
        graph_hash=graph.content_hash,
        label_names=graph.label_names,
        terms={"cross_entropy": 1.0},
    )
    student, training = fit(config, data, progress)
    metrics = student_metrics(student, data, training)
    save_checkpoint(out, config, student, training, metrics)
    return metrics


def fit(
    config: CheckpointConfig, data: GraphData, progress: Progress = silent
) -> tuple[Student, Training]:
    """A student initialised from the config's seed and trained."""
    torch.manual_seed(config.training.seed)
    student = build_student(config)
    terms = [Term("cross_entropy", config.terms["cross_entropy"], cross_entropy)]
    return student, train(student, data, terms, config.training, progress)


def student_metrics(student: Student, data: GraphData, training: Training) -> dict[str, float]:
    """Accuracy, macro-F1 and calibration a split; parameters, epochs and seconds."""
    logits = predict(student, data)
    metrics: dict[str, float] = {}
    for name, nodes in (("train", data.train), ("val", data.val), ("test", data.test)):
        if len(nodes):
            scores = score(logits[nodes].numpy(), data.labels[nodes].numpy())
            metrics |= {f"{name}_{key}": value for key, value in asdict(scores).items()}
    return metrics | {
        "parameters": sum(weights.numel() for weights in student.parameters()),
        "best_epoch": training.best_epoch + 1,
        "epochs": len(training.epochs),
        "seconds": round(training.seconds, 3),
    }
