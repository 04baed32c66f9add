"""How good a teacher is: a hop at a time, and all hops together."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from graph import UNLABELED, TextGraph
from training.metrics import score
from training.teachers.folder import HopAnswers

ENSEMBLE, JOINT, SMOOTHED = "ensemble", "joint", "smoothed"


def views(hops: Sequence[int], answers: HopAnswers) -> dict[str, NDArray[np.float32]]:
    """Log-probabilities [M, C] of every hop; of their geometric mean, where there are more; of the
    head that reads them all, and what is smoothed over the edges, where there are such.
    """
    result = {f"hop{hop}": answers.log_probabilities[i] for i, hop in enumerate(hops)}
    if len(hops) > 1:
        mean = answers.log_probabilities.mean(axis=0)
        result[ENSEMBLE] = log_softmax(mean, axis=1).astype(np.float32)
    if answers.joint is not None:
        result[JOINT] = answers.joint
    if answers.smoothed is not None:
        result[SMOOTHED] = answers.smoothed
    return result


def view_names(metrics: Mapping[str, float]) -> list[str]:
    """The views that metrics of `teacher_metrics` tell of: hops, rising, then what joins them."""
    found = {name.partition("_accuracy_")[2] for name in metrics if "_accuracy_" in name}
    last = [view for view in (ENSEMBLE, JOINT, SMOOTHED) if view in found]
    return sorted(found - set(last), key=lambda view: int(view.removeprefix("hop"))) + last


def chosen_view(metrics: Mapping[str, float]) -> str:
    """The view that students learn from: the most accurate on validation, the first of equals."""
    return max(view_names(metrics), key=lambda view: metrics[f"val_accuracy_{view}"])


def teacher_metrics(graph: TextGraph, hops: Sequence[int], answers: HopAnswers) -> dict[str, float]:
    """Accuracy, macro-F1 and calibration error of every view on every split's asked nodes."""
    metrics: dict[str, float] = {}
    for split in ("train", "val", "test"):
        members = graph.splits.get(split, np.empty(0, np.int64))
        rows = np.flatnonzero(np.isin(answers.nodes, members))
        rows = rows[graph.labels[answers.nodes[rows]] != UNLABELED]
        if not len(rows):
            continue
        labels = graph.labels[answers.nodes[rows]]
        for view, values in views(hops, answers).items():
            scores = score(values[rows], labels)
            metrics[f"{split}_accuracy_{view}"] = scores.accuracy
            metrics[f"{split}_macro_f1_{view}"] = scores.macro_f1
            metrics[f"{split}_calibration_error_{view}"] = scores.calibration_error
    return metrics
