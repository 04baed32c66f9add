"""What a teacher says, as objectives read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from graph import UNLABELED, TextGraph
from training.calibration import fit_temperature
from training.errors import TeacherError
from training.teachers.folder import HopAnswers, TeacherInfo, read_teacher
from training.teachers.scores import views


@dataclass(frozen=True, slots=True)
class Targets:
    """The teacher's answers, indexed by node.

    Shapes:
        known: bool [N], whether the teacher was asked about a node
        log_probabilities: float32 [N, C], of the view that is best on validation; 0 where unknown
        features: float16 [H, N, d_T], or None
    """

    hops: tuple[int, ...]
    known: Tensor
    log_probabilities: Tensor
    features: Tensor | None
    view: str  # which hop, or what joins them
    temperature: float  # that its log-probabilities were divided by

    @property
    def classes(self) -> int:
        return self.log_probabilities.shape[1]

    def required_features(self, objective: str) -> Tensor:
        """The features.

        Raises:
            TeacherError: the teacher shows none.
        """
        if self.features is None:
            raise TeacherError(
                f"the objective {objective!r} needs a teacher's features, and an endpoint "
                "shows none; use kd, unlabeled, bd, ff or mixup"
            )
        return self.features


def load_targets(folder: Path, graph: TextGraph) -> tuple[TeacherInfo, Targets]:
    """Reads a teacher folder.

    Raises:
        TeacherError, StaleTeacherError: see `read_teacher`.
    """
    info, answers = read_teacher(folder, graph)
    return info, make_targets(graph, info.hops, answers)


def make_targets(graph: TextGraph, hops: Sequence[int], answers: HopAnswers) -> Targets:
    """The answers of the view that is most accurate on validation, calibrated there.

    Raises:
        TeacherError: no validation node was asked about, so that nothing can be chosen.
    """
    members = graph.splits.get("val", np.empty(0, np.int64))
    rows = np.flatnonzero(np.isin(answers.nodes, members))
    rows = rows[graph.labels[answers.nodes[rows]] != UNLABELED]
    if not len(rows):
        raise TeacherError("the teacher was asked about no validation node; ask about more")
    labels = graph.labels[answers.nodes[rows]]
    found = views(hops, answers)
    right = {view: float((v[rows].argmax(1) == labels).mean()) for view, v in found.items()}
    view = max(found, key=lambda name: right[name])
    temperature = fit_temperature(found[view][rows], labels)
    known = torch.zeros(graph.num_nodes, dtype=torch.bool)
    nodes = torch.from_numpy(answers.nodes)
    known[nodes] = True
    values = torch.zeros(graph.num_nodes, graph.num_classes)
    values[nodes] = (torch.from_numpy(found[view]) / temperature).log_softmax(1)
    return Targets(tuple(hops), known, values, spread(answers, graph.num_nodes), view, temperature)


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
