"""Objectives by name: ours, and those that others register."""

from collections.abc import Callable, Mapping

import torch

from training.config import LABELS, ObjectiveOptions, StudentConfig
from training.errors import TeacherError, TrainingError
from training.losses.base import CrossEntropy, Objective, Term
from training.losses.contrastive import LayerContrast
from training.losses.frequency import Frequencies
from training.losses.mixing import Mixtures
from training.losses.norm_direction import NormDirection
from training.losses.soft_labels import SoftLabels
from training.losses.subclasses import Subclasses
from training.registry import Registry
from training.student.data import GraphData
from training.teacher.answers.targets import Targets

Maker = Callable[[GraphData, Targets, StudentConfig, ObjectiveOptions], Objective]
OURS: Mapping[str, Maker] = {
    "kd": lambda data, targets, student, options: SoftLabels(targets, options.temperature, False),
    "unlabeled": lambda data, targets, student, options: SoftLabels(
        targets, options.temperature, True
    ),
    "bd": lambda data, targets, student, options: SoftLabels(
        targets, options.temperature, True, balanced=True
    ),
    "lingugkd": lambda data, targets, student, options: LayerContrast(
        targets, student.layers, student.hidden, options
    ),
    "nd": lambda data, targets, student, options: NormDirection(
        targets, data.labels, data.train, student.hidden
    ),
    "lelp": lambda data, targets, student, options: Subclasses(
        targets, data.labels, data.train, student.hidden, options
    ),
    "ff": lambda data, targets, student, options: Frequencies(targets, options),
    "mixup": lambda data, targets, student, options: Mixtures(targets, options.mixup_alpha),
}
MAKERS: Registry[Maker] = Registry("objective")  # all but that of the labels


def register_objective(name: str, make: Maker) -> None:
    """Adds an objective, so that a loss may weigh it by its name.

    Args:
        make: of the graph's data, what the teacher says, the student's shape and the constants

    Raises:
        TrainingError: the name is taken.
    """
    if name == LABELS:
        raise TrainingError(f"the objective {name!r} is that of the labels; choose another name")
    MAKERS.register(name, make)


for name, maker in OURS.items():
    register_objective(name, maker)


def make_terms(
    weights: Mapping[str, float], data: GraphData, student: StudentConfig, options: ObjectiveOptions
) -> list[Term]:
    """The terms of a loss; objectives' own parameters are drawn from torch's generator.

    Raises:
        TrainingError: an unknown objective, a negative weight, or none that is positive.
        TeacherError: an objective needs what the teacher does not give.
    """
    known = (LABELS, *MAKERS)
    unknown = [name for name in weights if name not in known]
    if unknown:
        raise TrainingError(f"unknown objective {unknown[0]!r}; choose from {', '.join(known)}")
    if min(weights.values(), default=0) < 0 or not any(weights.values()):
        raise TrainingError("objectives need weights of at least 0, and one above it")
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
    return MAKERS[name](data, data.targets, student, options)


def objective_parameters(terms: list[Term]) -> list[torch.nn.Parameter]:
    return [weight for term in terms for weight in term.objective.parameters()]
