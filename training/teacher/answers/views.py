"""How good a teacher is: a hop at a time, and all hops together."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from training.metrics import score
from training.teacher.answers.folder import HopAnswers, View
from understudy.graph import UNLABELED, TextGraph

ENSEMBLE, JOINT, SMOOTHED, REACHED = "ensemble", "joint", "smoothed", "reached"


def views(hops: Sequence[int], answers: HopAnswers) -> dict[str, View]:
    """What every hop says; their geometric mean, where there are more; the head that reads them
    all, and what is smoothed over the edges, where there are such. All are about the asked nodes
    but `reached`, the smoothed answers about others as well.
    """
    nodes = answers.nodes
    result = {f"hop{hop}": View(nodes, answers.log_probabilities[i]) for i, hop in enumerate(hops)}
    if len(hops) > 1:
        mean = answers.log_probabilities.mean(axis=0)
        result[ENSEMBLE] = View(nodes, log_softmax(mean, axis=1).astype(np.float32))
    if answers.joint is not None:
        result[JOINT] = View(nodes, answers.joint)
    if (reached := answers.smoothed) is not None:
        own = np.isin(reached.nodes, nodes)
        result[SMOOTHED] = View(reached.nodes[own], reached.log_probabilities[own])
        if not own.all():
            result[REACHED] = reached
    return result


def view_names(metrics: Mapping[str, float]) -> list[str]:
    """The views that metrics of `teacher_metrics` tell of: hops, rising, then what joins them."""
    found = {name.partition("_accuracy_")[2] for name in metrics if "_accuracy_" in name}
    last = [view for view in (ENSEMBLE, JOINT, SMOOTHED, REACHED) if view in found]
    return sorted(found - set(last), key=lambda view: int(view.removeprefix("hop"))) + last


def chosen_view(metrics: Mapping[str, float]) -> str:
    """The view of the asked nodes that students learn from: the most accurate on validation, the
    first of equals.
    """
    asked = [view for view in view_names(metrics) if view != REACHED]
    return max(asked, key=lambda view: metrics[f"val_accuracy_{view}"])


def labeled_rows(graph: TextGraph, view: View, split: str) -> NDArray[np.int64]:
    """The rows of a view that are about a split's labelled nodes."""
    members = np.isin(view.nodes, graph.splits.get(split, np.empty(0, np.int64)))
    return np.flatnonzero(members & (graph.labels[view.nodes] != UNLABELED))


def right_answers(graph: TextGraph, view: View, split: str) -> int:
    """How many of a split's labelled nodes a view is right about; saying nothing is not right."""
    rows = labeled_rows(graph, view, split)
    said = view.log_probabilities[rows].argmax(axis=1)
    return int((said == graph.labels[view.nodes[rows]]).sum())


def teacher_metrics(graph: TextGraph, hops: Sequence[int], answers: HopAnswers) -> dict[str, float]:
    """Accuracy, macro-F1 and calibration error of every view on the labelled nodes of every split
    that it is about.
    """
    metrics: dict[str, float] = {}
    for split, (name, view) in product(("train", "val", "test"), views(hops, answers).items()):
        rows = labeled_rows(graph, view, split)
        if not len(rows):
            continue
        scores = score(view.log_probabilities[rows], graph.labels[view.nodes[rows]])
        metrics[f"{split}_accuracy_{name}"] = scores.accuracy
        metrics[f"{split}_macro_f1_{name}"] = scores.macro_f1
        metrics[f"{split}_calibration_error_{name}"] = scores.calibration_error
    return metrics
