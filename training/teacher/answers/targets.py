"""What a teacher says, as objectives read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.calibration import fit_temperature
from training.errors import TeacherError
from training.teacher.answers.folder import HopAnswers, without
from training.teacher.answers.views import (
    REACHED,
    SMOOTHED,
    labeled_rows,
    right_answers,
    views,
)
from understudy.graph import TextGraph


@dataclass(frozen=True, slots=True)
class Targets:
    """The teacher's answers, indexed by node.

    Shapes:
        asked: bool [N], whether the teacher was asked about a node
        known: bool [N], whether its view says something about a node: asked, or reached by edges;
            of a node that it was tuned on only what is said without its label
        tuned: bool [N], whether the transformer, or whatever made the features, learned a node's
            label
        log_probabilities: float32 [N, C], of the view that is best on validation; 0 where unknown
        features: float16 [H, N, d_T], or None; 0 where not asked
    """

    hops: tuple[int, ...]
    asked: Tensor
    known: Tensor
    tuned: Tensor
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


def make_targets(
    graph: TextGraph, hops: Sequence[int], answers: HopAnswers, view: str | None = None
) -> Targets:
    """The answers of a view, calibrated on validation; where none is named, of the view of the
    asked nodes that is most accurate there.

    Raises:
        TeacherError: there is no such view; or it says nothing about a validation node.
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
        raise TeacherError("the teacher was asked about no validation node; ask about more")
    temperature = fit_temperature(best.log_probabilities[own], graph.labels[best.nodes[own]])
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
