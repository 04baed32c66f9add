"""One run: a student trained by a recipe, its test split read once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from training.distill import calibrate_student, fit, student_metrics
from training.encoders.encoding import EncoderSpec
from training.evaluation.plan import Choice, EvaluationOptions, RunKey, recipe_weights
from training.loop import Training, predict
from training.metrics import CALIBRATION_BINS
from training.student.checkpoint import CheckpointConfig
from training.student.data import GraphData
from training.student.network import Student


@dataclass(frozen=True, slots=True)
class Material:
    """What the runs of one split, encoder and teacher share."""

    data: GraphData
    spec: EncoderSpec
    label_names: tuple[str, ...]


def train_recipe(
    key: RunKey, material: Material, options: EvaluationOptions, choice: Choice
) -> tuple[Student, Training]:
    """Trains; reads training and validation labels only."""
    config = CheckpointConfig(
        student=choice.student(key.student, options.layers),
        training=choice.training(options.training, 1_000 * key.split + key.seed),
        encoder=material.spec,
        graph_path="",
        graph_name="",
        graph_hash="",
        label_names=material.label_names,
        terms=recipe_weights(key.recipe, choice.strength),
        objectives=options.constants,
    )
    return fit(config, material.data)


def run(
    key: RunKey, material: Material, options: EvaluationOptions, choice: Choice
) -> dict[str, Any]:
    """One result, as it is written."""
    student, training = train_recipe(key, material, options, choice)
    data = material.data
    logits = predict(student, data)
    test, labels = logits[data.test].numpy(), data.labels[data.test].numpy()
    calibration = calibrate_student(logits, data, accuracy=0.95)
    size = sum(w.numel() * w.element_size() for w in student.state_dict().values())
    return {
        "key": asdict(key),
        "choice": asdict(choice),
        "metrics": {**student_metrics(student, data, training, logits), "bytes": size},
        "temperature": calibration.temperature,
        "validation_curve": [round(epoch.val_accuracy, 4) for epoch in training.epochs],
        "reliability": reliability(test, labels),
        "reliability_calibrated": reliability(test / calibration.temperature, labels),
        "risk_coverage": calibration.risk_coverage,
    }


def reliability(
    logits: NDArray[np.floating], labels: NDArray[np.int64]
) -> list[Mapping[str, float]]:
    """Count, mean confidence and accuracy of every bin of confidence that is not empty."""
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
