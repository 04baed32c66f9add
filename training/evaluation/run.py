"""One run: a student trained by a recipe, its test split read once; and the search before it.

Hyperparameters are chosen on validation, with the same budget for every recipe.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from training.calibration import CALIBRATION_BINS, calibrate
from training.config import Training
from training.data import GraphData
from training.distill import fit, student_metrics
from training.encoders.features import EncoderSpec
from training.evaluation.plan import Choice, EvaluationOptions, RunKey
from training.evaluation.provenance import provenance
from training.evaluation.splits import withheld_nodes
from training.loop import predict
from training.recipe_names import LANGUAGE_FREE, VANILLA
from training.recipes import recipe_weights
from training.student.checkpoint import CheckpointConfig
from training.student.network import Student
from training.teacher.options import TeachOptions
from understudy.graph import TextGraph

if TYPE_CHECKING:
    import optuna

WIDTHS = (64, 128, 256)  # options of the search
PANEL = 1_000  # maximum number of nodes whose answers are stored individually, to compare splits


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """The inputs shared by runs of one split, encoder and teacher."""

    data: GraphData
    spec: EncoderSpec
    label_names: tuple[str, ...]
    folder: Path = Path()  # of the split's graph
    panel: NDArray[np.int64] | None = None  # see `panel_rows`; None: no node was removed


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A run whose student is trained; its config names no graph."""

    key: RunKey
    config: CheckpointConfig
    inputs: TrainingInputs
    student: Student
    training: Training


Finish = Callable[[TrainedRun], Mapping[str, float]]  # additional accuracies, by name


def train_recipe(
    key: RunKey, inputs: TrainingInputs, options: EvaluationOptions, choice: Choice
) -> tuple[Student, Training]:
    """Trains a run's student; reads training and validation labels only."""
    return fit(run_config(key, inputs, options, choice), inputs.data)


def run_config(
    key: RunKey, inputs: TrainingInputs, options: EvaluationOptions, choice: Choice
) -> CheckpointConfig:
    """The config of a run's student, without a graph."""
    return CheckpointConfig(
        student=choice.student(key.student, options.layers),
        training=choice.training(options.training, 1_000 * key.split + key.seed),
        encoder=inputs.spec,
        graph_path="",
        graph_name="",
        graph_hash="",
        label_names=inputs.label_names,
        terms=recipe_weights(key.recipe, choice.strength),
        objectives=options.constants,
    )


def trained_run(
    key: RunKey, inputs: TrainingInputs, options: EvaluationOptions, choice: Choice
) -> TrainedRun:
    student, training = train_recipe(key, inputs, options, choice)
    return TrainedRun(key, run_config(key, inputs, options, choice), inputs, student, training)


def run(
    key: RunKey, inputs: TrainingInputs, options: EvaluationOptions, choice: Choice
) -> dict[str, Any]:
    """The result of a run, as stored."""
    trained = trained_run(key, inputs, options, choice)
    return measured(trained, predict(trained.student, inputs.data), options, choice)


def measured(
    trained: TrainedRun,
    logits: Tensor,
    options: EvaluationOptions,
    choice: Choice,
    finish: Finish | None = None,
) -> dict[str, Any]:
    """The result of a trained student, as stored.

    Args:
        logits: of all nodes, float32 [N, C]
        finish: adds measurements
    """
    key, student, data = trained.key, trained.student, trained.inputs.data
    val, test, labels = data.val, logits[data.test].numpy(), data.labels[data.test].numpy()
    calibration = calibrate(logits[val].numpy(), data.labels[val].numpy(), accuracy=0.95)
    size = sum(w.numel() * w.element_size() for w in student.state_dict().values())
    about_student = student_metrics(student, data, trained.training, logits)
    metrics = about_student | other_metrics(key, data, logits)
    result = {
        "key": asdict(key),
        "teacher": "" if key.recipe in LANGUAGE_FREE else teacher_title(options.teacher),
        "choice": asdict(choice),
        "sizes": {
            "labeled": int((data.labels >= 0).sum()),
            **{name: len(getattr(data, name)) for name in ("train", "val", "test")},
        },
        "metrics": metrics | {"bytes": size},
        "temperature": calibration.temperature,
        "validation_curve": [round(epoch.val_accuracy, 4) for epoch in trained.training.epochs],
        "reliability": reliability(test, labels),
        "reliability_calibrated": reliability(test / calibration.temperature, labels),
        "risk_coverage": calibration.risk_coverage,
        **panel(data, logits, trained.inputs.panel),
    }
    if finish is not None:
        result["unseen"] = finish(trained)
    return result | {"made": provenance(options.training.device)}


def other_metrics(key: RunKey, data: GraphData, logits: Tensor) -> dict[str, float | None]:
    """Test accuracy of the student's targets, and the student's own on the fifth of test nodes that
    an inductive evaluation removes.
    """
    fifth = torch.from_numpy(withheld_nodes(data.test.numpy(), key.split))
    taught = None if data.targets is None else data.targets.log_probabilities
    return {
        "taught_accuracy": None if taught is None else accuracy(taught, data, data.test),
        "fifth_accuracy": accuracy(logits, data, fifth) if len(fifth) else None,
    }


def accuracy(scores: Tensor, data: GraphData, nodes: Tensor) -> float:
    """The share of some nodes whose highest score is that of their label; scores: [N, C].

    Uniform scores, such as a missing answer of a teacher, have no highest and count as wrong.
    """
    answers = scores[nodes]
    right = (answers.argmax(1) == data.labels[nodes]) & (answers.amax(1) > answers.amin(1))
    return float(right.float().mean())


def panel(data: GraphData, logits: Tensor, rows: NDArray[np.int64] | None = None) -> dict[str, str]:
    """For the same nodes in every split: bits for test nodes, and for those that the student gets
    right, as hexadecimal digits.

    Args:
        rows: the positions of these nodes, see `panel_rows`; None: as in the whole graph
    """
    rows = panel_nodes(len(data.labels)) if rows is None else rows
    tested = np.isin(rows, data.test.numpy())
    right = (logits.argmax(1) == data.labels).numpy()[rows] & tested
    return {"panel": np.packbits(tested).tobytes().hex()} | {
        "panel_right": np.packbits(right).tobytes().hex()
    }


def panel_nodes(count: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(0).permutation(count)[:PANEL])


def panel_rows(whole: TextGraph, part: TextGraph) -> NDArray[np.int64]:
    """The positions of a graph's panel after nodes were removed, which differ per split; int64 [at
    most PANEL], -1 for a removed node.
    """
    nodes = panel_nodes(whole.num_nodes)
    if part.num_nodes == whole.num_nodes:
        return nodes
    place = part.index_of
    return np.array([place.get(whole.ids[node].as_py(), -1) for node in nodes.tolist()], np.int64)


def teacher_title(options: TeachOptions) -> str:
    """A short title for a language model that teaches, with how much of it was tuned."""
    name = {"encoder": "MiniLM"}.get(options.teacher, Path(options.teacher).name)
    if options.kind == "encoder" and options.encoder.frozen:
        return f"{name}, frozen"
    return f"{name}, {'tuned' if options.tuning.epochs else 'untuned'}"


def reliability(
    logits: NDArray[np.floating], labels: NDArray[np.int64]
) -> list[Mapping[str, float]]:
    """Count, mean confidence and accuracy of every non-empty confidence bin."""
    probabilities = softmax(logits.astype(np.float64), axis=1)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "count": int((bins == number).sum()),
            "confidence": float(confidence[bins == number].mean()),
            "accuracy": float(right[bins == number].mean()),
        }
        for number in np.unique(bins)
    ]


def search(key: RunKey, inputs: TrainingInputs, options: EvaluationOptions) -> Choice:
    """The choice with the highest validation accuracy among `options.trials`."""

    def value(choice: Choice) -> float:
        _, training = train_recipe(key, inputs, options, choice)
        return training.epochs[training.best_epoch].val_accuracy

    return best_choice(value, key.recipe, options.trials, options.default_choice)


def best_choice(
    value: Callable[[Choice], float], recipe: str, trials: int, first: Choice
) -> Choice:
    """The choice of the highest value, which must come from validation, among some trials.

    The first trial is `first`, so that a search is never worse. A vanilla student has no strength,
    so its trials only search the rest.
    """
    import optuna  # slow, and without trials none is made

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    names = set(asdict(first)) - ({"strength"} if recipe == VANILLA else set())
    study.enqueue_trial({name: value for name, value in asdict(first).items() if name in names})
    widths = sorted({*WIDTHS, first.hidden})
    study.optimize(lambda trial: value(choose(trial, recipe, widths)), n_trials=trials)
    return Choice(**study.best_params)


def choose(trial: "optuna.Trial", recipe: str, widths: Sequence[int]) -> Choice:
    choice = Choice(
        learning_rate=trial.suggest_float("learning_rate", 3e-4, 3e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-4, 1e-1, log=True),
        dropout=trial.suggest_float("dropout", 0.1, 0.8),
        input_dropout=trial.suggest_float("input_dropout", 0.0, 0.8),
        hidden=trial.suggest_categorical("hidden", widths),
        bare=trial.suggest_categorical("bare", [False, True]),
    )
    if recipe == VANILLA:
        return choice
    return replace(choice, strength=trial.suggest_float("strength", 0.03, 10.0, log=True))
