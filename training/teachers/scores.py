"""How good a teacher is: a hop at a time, and all hops together."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from graph import UNLABELED, TextGraph
from training.metrics import score
from training.teachers.folder import HopAnswers, View

ENSEMBLE, JOINT, SMOOTHED = "ensemble", "joint", "smoothed"


def views(hops: Sequence[int], answers: HopAnswers) -> dict[str, View]:
    """What every hop says; their geometric mean, where there are more; the head
    that reads them all, and what is smoothed over the edges, where there are such.
    """
    nodes = answers.nodes
    result = {f"hop{hop}": View(nodes, answers.log_probabilities[i]) for i, hop in enumerate(hops)}
    if len(hops) > 1:
        mean = answers.log_probabilities.mean(axis=0)
        result[ENSEMBLE] = View(nodes, log_softmax(mean, axis=1).astype(np.float32))
    if answers.joint is not None:
        result[JOINT] = View(nodes, answers.joint)
    if answers.smoothed is not None:
        result[SMOOTHED] = answers.smoothed
    return result


def view_names(metrics: Mapping[str, float]) -> list[str]:
    """The views that metrics of `teacher_metrics` tell of: hops, rising, then what joins them."""
    found = {name.partition("_accuracy_")[2] for name in metrics if "_accuracy_" in name}
    last = [view for view in (ENSEMBLE, JOINT, SMOOTHED) if view in found]
    return sorted(found - set(last), key=lambda view: int(view.removeprefix("hop"))) + last


def chosen_view(metrics: Mapping[str, float]) -> str:
    """The view that students learn from: right about most of the validation nodes, whether it
    answers about all of them or not; the first of equals.
    """

    def right(view: str) -> float:
        coverage = metrics.get(f"val_coverage_{view}", 1.0)
        return coverage * metrics[f"val_accuracy_{view}"] if coverage else 0.0

    return max(view_names(metrics), key=right)


def labeled_rows(graph: TextGraph, view: View, split: str) -> tuple[NDArray[np.int64], int]:
    """The rows of a view that are about a split's labelled nodes; how many of those there are."""
    members = graph.splits.get(split, np.empty(0, np.int64))
    members = members[graph.labels[members] != UNLABELED]
    return np.flatnonzero(np.isin(view.nodes, members)), len(members)


def teacher_metrics(graph: TextGraph, hops: Sequence[int], answers: HopAnswers) -> dict[str, float]:
    """The share of every split's labelled nodes that each view answers about; and its accuracy,
    macro-F1 and calibration error on those.
    """
    metrics: dict[str, float] = {}
    for split, (name, view) in product(("train", "val", "test"), views(hops, answers).items()):
        rows, count = labeled_rows(graph, view, split)
        if not count:
            continue
        metrics[f"{split}_coverage_{name}"] = len(rows) / count
        if not len(rows):
            continue
        scores = score(view.log_probabilities[rows], graph.labels[view.nodes[rows]])
        metrics[f"{split}_accuracy_{name}"] = scores.accuracy
        metrics[f"{split}_macro_f1_{name}"] = scores.macro_f1
        metrics[f"{split}_calibration_error_{name}"] = scores.calibration_error
    return metrics
