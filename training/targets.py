"""What a teacher says, as objectives read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graph import TextGraph
from training.calibration import fit_temperature
from training.errors import TeacherError
from training.teachers.folder import HopAnswers, TeacherInfo, read_teacher
from training.teachers.scores import REACHED, labeled_rows, views


@dataclass(frozen=True, slots=True)
class Targets:
    """The teacher's answers, indexed by node.

    Shapes:
        asked: bool [N], whether the teacher was asked about a node
        known: bool [N], whether its view says something about a node: asked, or reached by edges
        log_probabilities: float32 [N, C], of the view that is best on validation; 0 where unknown
        features: float16 [H, N, d_T], or None; 0 where not asked
    """

    hops: tuple[int, ...]
    asked: Tensor
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


def load_targets(
    folder: Path, graph: TextGraph, reached: bool = False
) -> tuple[TeacherInfo, Targets]:
    """Reads a teacher folder; see `make_targets`.

    Raises:
        TeacherError, StaleTeacherError: see `read_teacher`.
    """
    info, answers = read_teacher(folder, graph)
    return info, make_targets(graph, info.hops, answers, reached)


def make_targets(
    graph: TextGraph, hops: Sequence[int], answers: HopAnswers, reached: bool = False
) -> Targets:
    """The answers of the view that is most accurate on validation, calibrated there; or, if
    `reached`, what the edges make of them, about all nodes that they lead to.

    Raises:
        TeacherError: no validation node was asked about, so that nothing can be chosen; or nodes
            beyond the asked ones are wanted, and there are none.
    """
    found = views(hops, answers)
    if reached and REACHED not in found:
        raise TeacherError(
            "the teacher's answers reach no node that it was not asked about; leave --reached out"
        )
    found = {name: view for name, view in found.items() if (name == REACHED) == reached}
    rows = {name: labeled_rows(graph, view, "val") for name, view in found.items()}
    if not any(map(len, rows.values())):
        raise TeacherError("the teacher was asked about no validation node; ask about more")

    def right(name: str) -> int:
        said = found[name].log_probabilities[rows[name]].argmax(axis=1)
        return int((said == graph.labels[found[name].nodes[rows[name]]]).sum())

    chosen = max(found, key=right)
    view, own = found[chosen], rows[chosen]
    temperature = fit_temperature(view.log_probabilities[own], graph.labels[view.nodes[own]])
    values = torch.zeros(graph.num_nodes, graph.num_classes)
    nodes = torch.from_numpy(view.nodes)
    values[nodes] = (torch.from_numpy(view.log_probabilities) / temperature).log_softmax(1)
    return Targets(
        hops=tuple(hops),
        asked=marked(answers.nodes, graph.num_nodes),
        known=marked(view.nodes, graph.num_nodes),
        log_probabilities=values,
        features=spread(answers, graph.num_nodes),
        view=chosen,
        temperature=temperature,
    )


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
