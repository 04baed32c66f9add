"""Objectives by name: ours, and those that others register."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from training.config import LABELS, ObjectiveOptions, StudentConfig
from training.errors import TeacherError, TrainingError
from training.losses.base import CrossEntropy, Objective, Term
from training.losses.contrastive import LayerContrast
from training.losses.feature_nodes import feature_nodes
from training.losses.frequency import Frequencies
from training.losses.mixing import Mixtures
from training.losses.norm_direction import NormDirection
from training.losses.soft_labels import SoftLabels
from training.losses.subclasses import Subclasses
from training.losses.weights import check_weights
from training.registry import Registry
from training.student.data import GraphData
from training.teacher.answers.targets import Targets

Maker = Callable[[GraphData, Targets, StudentConfig, ObjectiveOptions], Objective]


@dataclass(frozen=True, slots=True)
class ObjectiveKind:
    """How an objective is made, and what it takes; known before a graph's texts are encoded."""

    make: Maker
    reads_features: bool = False  # of the teacher; an endpoint shows none
    trains_head: bool = True  # the student's last layer, whose logits are what it answers
    reads_train: bool = False  # the teacher's answers about training nodes, and no others


OURS: Mapping[str, ObjectiveKind] = {
    "kd": ObjectiveKind(
        lambda data, targets, student, options: SoftLabels(targets, options.temperature, False),
        reads_train=True,
    ),
    "unlabeled": ObjectiveKind(
        lambda data, targets, student, options: SoftLabels(targets, options.temperature, True)
    ),
    "bd": ObjectiveKind(
        lambda data, targets, student, options: SoftLabels(
            targets, options.temperature, True, balanced=True
        )
    ),
    "lingugkd": ObjectiveKind(
        lambda data, targets, student, options: LayerContrast(
            targets, feature_nodes(targets, data), student, options
        ),
        reads_features=True,
        trains_head=False,
    ),
    "nd": ObjectiveKind(
        lambda data, targets, student, options: NormDirection(
            targets, feature_nodes(targets, data), student.hidden
        ),
        reads_features=True,
        trains_head=False,
    ),
    "lelp": ObjectiveKind(
        lambda data, targets, student, options: Subclasses(
            targets, feature_nodes(targets, data), student.hidden, options
        ),
        reads_features=True,
    ),
    "ff": ObjectiveKind(lambda data, targets, student, options: Frequencies(targets, options)),
    "mixup": ObjectiveKind(
        lambda data, targets, student, options: Mixtures(targets, options.mixup_alpha)
    ),
}
MAKERS: Registry[ObjectiveKind] = Registry("objective")  # all but that of the labels


def register_objective(
    name: str, make: Maker, reads_features: bool = False, trains_head: bool = True
) -> None:
    """Adds an objective, so that a loss may weigh it by its name.

    Args:
        make: of the graph's data, what the teacher says, the student's shape and the constants
        reads_features: it needs the teacher's features, so an endpoint's answers are refused
        trains_head: its gradient reaches the student's head; a loss of objectives none of which
            does is refused

    Raises:
        TrainingError: the name is taken.
    """
    if name == LABELS:
        raise TrainingError(f"the objective {name!r} is that of the labels; choose another name")
    MAKERS.register(name, ObjectiveKind(make, reads_features, trains_head))


for name, kind in OURS.items():
    MAKERS.register(name, kind)


def check_objectives(weights: Mapping[str, float], targets: Targets | None, train: Tensor) -> None:
    """Refuses a loss that could not be made, or that would leave the student's head untrained.

    Args:
        train: int64, the labelled nodes of the training split

    Raises:
        TrainingError: see `check_weights`; or nothing trains the head.
        TeacherError: an objective needs what the teacher does not give.
    """
    check_weights(weights, (LABELS, *MAKERS))
    used = [name for name, weight in weights.items() if weight and name != LABELS]
    for name in used:
        if targets is None:
            raise TeacherError(f"the objective {name!r} needs a teacher; name its folder")
        if MAKERS[name].reads_features:
            targets.required_features(name)
        if MAKERS[name].reads_train and not bool(targets.known[train].any()):
            raise TeacherError(
                f"the objective {name!r} learns what the teacher says about training nodes, and "
                f"the view {targets.view!r} says nothing about those that it had not learned "
                "itself; take the view 'smoothed', or the objective 'unlabeled'"
            )
    if not weights.get(LABELS) and not any(MAKERS[name].trains_head for name in used):
        raise TrainingError(
            f"{', '.join(used)} alone would leave the student's last layer untrained; leave out "
            f"{LABELS}=0, or add kd or unlabeled"
        )


def make_terms(
    weights: Mapping[str, float], data: GraphData, student: StudentConfig, options: ObjectiveOptions
) -> list[Term]:
    """The terms of a loss; objectives' own parameters are drawn from torch's generator.

    Raises:
        TrainingError, TeacherError: see `check_objectives`.
    """
    check_objectives(weights, data.targets, data.train)
    return [
        Term(name, weight, make_objective(name, data, student, options))
        for name, weight in weights.items()
        if weight
    ]


def make_objective(
    name: str, data: GraphData, student: StudentConfig, options: ObjectiveOptions
) -> Objective:
    if name == LABELS:
        return CrossEntropy()
    if data.targets is None:
        raise TeacherError(f"the objective {name!r} needs a teacher; name its folder")
    return MAKERS[name].make(data, data.targets, student, options)


def objective_parameters(terms: list[Term]) -> list[torch.nn.Parameter]:
    return [weight for term in terms for weight in term.objective.parameters()]
