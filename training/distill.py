"""From a graph, and perhaps a teacher, to a trained student on disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from graph import TextGraph, check_split, load_graph
from graph.progress import Progress, silent
from training.calibration import Calibration, calibrate
from training.checkpoint import (
    CheckpointConfig,
    TeacherSource,
    build_student,
    save_checkpoint,
)
from training.config import ObjectiveOptions, StudentConfig, TrainingConfig
from training.data import GraphData, graph_data
from training.encoding import encoder_spec, graph_features
from training.errors import CheckpointError
from training.loop import Training, predict, train
from training.metrics import score
from training.objectives.registry import LABELS, make_terms
from training.student import Student
from training.targets import Targets, load_targets

CONVERGED = 0.99  # share of the best validation accuracy at which training has converged


@dataclass(frozen=True, slots=True)
class DistillOptions:
    encoder: str = "minilm"
    encoder_path: Path | None = None
    student: StudentConfig = field(default_factory=StudentConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    teacher: Path | None = None  # a teacher folder
    view: str | None = None  # of the teacher; None takes the best on validation
    objectives: Mapping[str, float] = field(default_factory=dict)  # weights; empty: by the teacher
    constants: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    auto_accuracy: float = 0.95  # wanted of the student's own answers under `route: auto`


def distill(
    graph_folder: Path, out: Path, options: DistillOptions, progress: Progress = silent
) -> dict[str, float]:
    """Trains a student on a graph's training split, picks its epoch on validation, writes it.

    The test split is read once, at the end, for the metrics that are returned and written.

    Raises:
        GraphError, TrainingError: see `graph.errors` and `training.errors`.
    """
    check_output(out)
    graph = load_graph(graph_folder)
    check_split(graph)
    source, targets = read_source(options.teacher, graph, options.view)
    spec = encoder_spec(options.encoder)
    features = graph_features(graph, spec, options.encoder_path, progress)
    data = graph_data(graph, features, targets)
    config = CheckpointConfig(
        student=options.student,
        training=options.training,
        encoder=spec,
        graph_path=str(graph_folder.resolve()),
        graph_name=graph.name,
        graph_hash=graph.content_hash,
        label_names=graph.label_names,
        terms=options.objectives or default_weights(targets),
        objectives=options.constants,
        teacher=source,
    )
    student, training = fit(config, data, progress)
    logits = predict(student, data)
    metrics = student_metrics(student, data, training, logits)
    calibration = calibrate_student(logits, data, options.auto_accuracy)
    save_checkpoint(out, config, student, training, metrics, calibration)
    return metrics


def check_output(out: Path) -> None:
    """Refuses to replace what is no student folder."""
    if out.is_file() or (
        out.is_dir() and any(out.iterdir()) and not (out / "curves.json").is_file()
    ):
        raise CheckpointError(f"{out} exists and is no student folder; name another one")


def read_source(
    folder: Path | None, graph: TextGraph, view: str | None
) -> tuple[TeacherSource | None, Targets | None]:
    """The teacher, and what it says; nothing where there is none."""
    if folder is None:
        return None, None
    info, targets = load_targets(folder, graph, view)
    fingerprint = str(info.settings.get("fingerprint", ""))
    source = TeacherSource(str(folder.resolve()), info.kind, info.model, fingerprint, targets.view)
    return source, targets


def default_weights(targets: Targets | None) -> dict[str, float]:
    """Labels alone without a teacher; with one, its soft labels, and its features where shown."""
    if targets is None:
        return {LABELS: 1.0}
    weights = {LABELS: 1.0, "unlabeled": 1.0}
    return weights if targets.features is None else weights | {"lingugkd": 0.1}


def fit(
    config: CheckpointConfig, data: GraphData, progress: Progress = silent
) -> tuple[Student, Training]:
    """A student initialised from the config's seed and trained.

    The student is drawn before any objective's own parameters, so that every loss starts from the
    same student.
    """
    torch.manual_seed(config.training.seed)
    student = build_student(config)
    terms = make_terms(config.terms, data, config.student, config.objectives)
    torch.manual_seed(config.training.seed)
    return student, train(student, data, terms, config.training, progress)


def student_metrics(
    student: Student, data: GraphData, training: Training, logits: Tensor | None = None
) -> dict[str, float]:
    """Accuracy, macro-F1 and calibration a split; parameters, epochs, convergence and seconds."""
    logits = predict(student, data) if logits is None else logits
    metrics: dict[str, float] = {}
    for name, nodes in (("train", data.train), ("val", data.val), ("test", data.test)):
        if len(nodes):
            scores = score(logits[nodes].numpy(), data.labels[nodes].numpy())
            metrics |= {f"{name}_{key}": value for key, value in asdict(scores).items()}
    return metrics | {
        "parameters": sum(weights.numel() for weights in student.parameters()),
        "best_epoch": training.best_epoch + 1,
        "convergence_epoch": convergence_epoch(training),
        "epochs": len(training.epochs),
        "seconds": round(training.seconds, 3),
        **training.figures,
    }


def convergence_epoch(training: Training) -> int:
    """The first epoch, from 1, that reaches 99% of the best validation accuracy."""
    wanted = CONVERGED * training.epochs[training.best_epoch].val_accuracy
    return next(n for n, epoch in enumerate(training.epochs, 1) if epoch.val_accuracy >= wanted)


def calibrate_student(logits: Tensor, data: GraphData, accuracy: float) -> Calibration:
    return calibrate(logits[data.val].numpy(), data.labels[data.val].numpy(), accuracy)
