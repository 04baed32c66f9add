"""The views of a teacher's answers: their accuracy, and which one is learned from and served.

Students may learn from answers that are smoothed over the edges or combine all hops, which no
server provides. `route: teacher` and `auto` ask about one hop, and get the model's own answer.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from training.calibration import FEW_NODES, fit_temperature, honest_temperature, score
from training.data import Targets
from training.deferral import TeacherCheck
from training.errors import TeacherError
from training.teacher.answers.folder import (
    ANSWERS_FILE,
    HopAnswers,
    TeacherInfo,
    View,
    check_together,
    read_info,
    unreadable,
    without,
)
from understudy.counting import counted
from understudy.graph import UNLABELED, TextGraph
from understudy.graph.prompts import WORDING
from understudy.graph.splits import labeled_nodes

ENSEMBLE, JOINT, SMOOTHED, REACHED = "ensemble", "joint", "smoothed", "reached"

log = logging.getLogger(__name__)


def views(hops: Sequence[int], answers: HopAnswers) -> dict[str, View]:
    """The views by name: every hop; the hops' geometric mean, if there are several; and the joint
    head and the smoothed answers, if present. All are about the asked nodes, except `reached`,
    which has the smoothed answers about other nodes, too.
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
    """The views that occur in `teacher_metrics`: hops in ascending order, then combinations."""
    found = {name.partition("_accuracy_")[2] for name in metrics if "_accuracy_" in name}
    last = [view for view in (ENSEMBLE, JOINT, SMOOTHED, REACHED) if view in found]
    return sorted(found - set(last), key=lambda view: int(view.removeprefix("hop"))) + last


def chosen_view(metrics: Mapping[str, float]) -> str:
    """The asked nodes' view to learn from: the most accurate on validation, the first on a tie."""
    names = [view for view in view_names(metrics) if view != REACHED]
    return max(names, key=lambda view: metrics[f"val_accuracy_{view}"])


def labeled_rows(graph: TextGraph, view: View, split: str) -> NDArray[np.int64]:
    """The rows of a view that are about a split's labelled nodes."""
    members = np.isin(view.nodes, graph.splits.get(split, np.empty(0, np.int64)))
    return np.flatnonzero(members & (graph.labels[view.nodes] != UNLABELED))


def right_answers(graph: TextGraph, view: View, split: str) -> int:
    """Counts a split's labelled nodes that a view gets right; no answer counts as wrong."""
    return int(are_right(graph, view, labeled_rows(graph, view, split)).sum())


def are_right(graph: TextGraph, view: View, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool [B]: which of a view's rows, about labelled nodes, rank the true label first."""
    answers = view.log_probabilities[rows]
    named: NDArray[np.bool_] = answers.argmax(axis=1) == graph.labels[view.nodes[rows]]
    return named & ~says_nothing(answers)


def says_nothing(log_probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """bool [B]: which rows [B, C] are uniform, as for an answer that names no label."""
    alike: NDArray[np.bool_] = np.ptp(log_probabilities, axis=1) == 0
    return alike


def teacher_metrics(graph: TextGraph, hops: Sequence[int], answers: HopAnswers) -> dict[str, float]:
    """Accuracy, macro-F1 and calibration error of every view on the labelled nodes of every split
    that it covers.
    """
    metrics: dict[str, float] = {}
    for split, (name, view) in product(("train", "val", "test"), views(hops, answers).items()):
        rows = labeled_rows(graph, view, split)
        if not len(rows):
            continue
        own = view.log_probabilities[rows]
        scores = score(own, graph.labels[view.nodes[rows]], says_nothing(own))
        metrics[f"{split}_accuracy_{name}"] = scores.accuracy
        metrics[f"{split}_macro_f1_{name}"] = scores.macro_f1
        metrics[f"{split}_calibration_error_{name}"] = scores.calibration_error
    return metrics


def make_targets(
    graph: TextGraph, hops: Sequence[int], answers: HopAnswers, view: str | None = None
) -> Targets:
    """The calibrated answers of a view, by default of the asked nodes' best on validation.

    Raises:
        TeacherError: there is no such view; or it covers no validation node.
    """
    found = views(hops, answers)
    if view is not None and view not in found:
        raise TeacherError(f"the teacher has no view {view!r}; choose from {', '.join(found)}")
    wanted = found.keys() - {REACHED} if view is None else {view}
    found = {name: values for name, values in found.items() if name in wanted}
    chosen = max(found, key=lambda name: right_answers(graph, found[name], "val"))
    best = found[chosen]
    own = labeled_rows(graph, best, "val")
    if not len(own):
        raise TeacherError(
            "the teacher was not asked about any validation node; ask about more nodes"
        )
    if len(own) < FEW_NODES:
        tell_few_nodes(chosen, len(own), len(labeled_nodes(graph, "val")))
    temperature = view_temperature(best.log_probabilities[own], graph.labels[best.nodes[own]])
    if chosen not in (SMOOTHED, REACHED):
        best = without(best, answers.tuned)
    values = torch.zeros(graph.num_nodes, graph.num_classes)
    nodes = torch.from_numpy(best.nodes)
    values[nodes] = (torch.from_numpy(best.log_probabilities) / temperature).log_softmax(1)
    return Targets(
        hops=tuple(hops),
        asked=marked(answers.nodes, graph.num_nodes),
        known=marked(best.nodes, graph.num_nodes),
        tuned=marked(answers.tuned, graph.num_nodes),
        log_probabilities=values,
        features=spread(answers, graph.num_nodes),
        view=chosen,
        temperature=temperature,
    )


def tell_few_nodes(view: str, answered: int, labeled: int) -> None:
    """Warns that only a few validation nodes choose a view and its confidence."""
    more = "ask about more nodes"
    if answered == labeled:
        more = "label more nodes, or put more into validation"
    log.warning(
        "the teacher answered about only %s, by which the view that students learn from, %r, and "
        "its confidence are chosen; %s",
        counted(answered, "validation node"),
        view,
        more,
    )


def view_temperature(log_probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature fitted on validation; with few nodes, a cautious one.

    Shapes:
        log_probabilities: float32 [B, C]; labels: int64 [B]; B is at least 1
    """
    fit = fit_temperature if len(labels) >= FEW_NODES else honest_temperature
    return fit(log_probabilities, labels)


def marked(nodes: NDArray[np.int64], count: int) -> Tensor:
    """bool [count], true at `nodes`."""
    result = torch.zeros(count, dtype=torch.bool)
    result[torch.from_numpy(nodes)] = True
    return result


def spread(answers: HopAnswers, num_nodes: int) -> Tensor | None:
    """The features of all nodes, zero where the teacher was not asked."""
    if answers.features is None:
        return None
    features = torch.from_numpy(answers.features)
    if len(answers.nodes) == num_nodes:
        return features
    result = torch.zeros(features.shape[0], num_nodes, features.shape[2], dtype=features.dtype)
    result[:, torch.from_numpy(answers.nodes)] = features
    return result


TUNED_FILE = "tuned.safetensors"


@dataclass(frozen=True, slots=True)
class TeacherRecord:
    """How a teacher is asked, and its accuracy, for a student, its bundle and a server.

    `understudy.bundle.TeacherRecord` is its counterpart in a bundle.
    """

    kind: str  # encoder, causal, endpoint or a registered one
    model: str  # a path, a hub id, or the name that an endpoint knows
    model_hash: str  # SHA-256 of the untuned weights; empty for an endpoint
    weights: str  # SHA-256 of the tuned ones; empty if nothing was tuned
    prompt_hash: str  # of everything that a prompt depends on, besides the graph
    wording: int  # version of the prompts' wording, see `understudy.graph.prompts`
    hops: int  # in a prompt: of those tried, the best on validation
    prompts: Mapping[str, Any]  # the fields of `PromptOptions`
    max_tokens: int = 0  # at which the model truncates a prompt; 0: unknown
    accuracy: float = 0.0  # on the validation nodes that it was asked about
    nodes: int = 0  # number of these nodes


@dataclass(frozen=True, slots=True)
class ServedTeacher:
    """A record, and the validation nodes on which the teacher was right."""

    record: TeacherRecord
    hops_tried: int
    nodes: tuple[int, ...] = field(default=())  # of the graph, ascending
    right: tuple[bool, ...] = field(default=())

    def check(self, validation: NDArray[np.int64]) -> TeacherCheck:
        """The same by position in the validation nodes, int64 [B], distinct."""
        place = {node: position for position, node in enumerate(validation.tolist())}
        pairs = [(place[n], r) for n, r in zip(self.nodes, self.right, strict=True) if n in place]
        rows = np.array([position for position, _ in pairs], dtype=np.int64)
        right = np.array([right for _, right in pairs], dtype=np.bool_)
        return TeacherCheck(rows, right, self.hops_tried)


def served_teacher(folder: Path, graph: TextGraph) -> ServedTeacher | None:
    """The teacher of a folder at the hop that is best on validation, the first if several tie.

    None if it takes no prompts, so that no server can replace it.

    Raises:
        TeacherError: the folder is damaged.
    """
    info = read_info(folder)
    if not info.prompt_hash or "prompts" not in info.settings:
        return None
    nodes, log_probabilities = read_hops(folder, info)
    views = [View(nodes, rows) for rows in log_probabilities]
    scores = [right_answers(graph, view, "val") for view in views]
    best = int(np.argmax(scores))
    rows = labeled_rows(graph, views[best], "val")
    labeled = nodes[rows]
    right = are_right(graph, views[best], rows)
    accuracy = float(right.mean()) if len(right) else 0.0
    record = teacher_record(folder, info, info.hops[best], accuracy, len(right))
    return ServedTeacher(record, len(views), tuple(labeled.tolist()), tuple(right.tolist()))


def read_hops(folder: Path, info: TeacherInfo) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The asked nodes, int64 [M], and the model's own answers, float32 [H, M, C]; no features.

    Raises:
        TeacherError: the file is damaged, or belongs to another teacher than `info`.
    """
    path = folder / ANSWERS_FILE
    try:
        check_together(folder, info)
        with safetensors.safe_open(path, "numpy") as file:
            return file.get_tensor("nodes"), file.get_tensor("log_probabilities")
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise unreadable(path, error) from error


def teacher_record(
    folder: Path, info: TeacherInfo, hops: int, accuracy: float = 0.0, nodes: int = 0
) -> TeacherRecord:
    own = info.settings.get(info.kind, {})
    return TeacherRecord(
        kind=info.kind,
        model=info.model,
        model_hash=info.model_hash,
        weights=weights_hash(folder / TUNED_FILE),
        prompt_hash=info.prompt_hash,
        wording=WORDING,
        hops=hops,
        prompts=dict(info.settings.get("prompts", {})),
        max_tokens=int(own.get("max_tokens") or 0),
        accuracy=accuracy,
        nodes=nodes,
    )


def weights_hash(path: Path) -> str:
    """SHA-256 of a file; empty if there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
