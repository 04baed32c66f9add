"""Pseudo-subclasses from the teacher's features, for graphs of few classes."""

import torch
from torch import Tensor, nn

from training.config import ObjectiveOptions
from training.losses.base import Objective, nothing
from training.losses.feature_nodes import FeatureNodes
from training.student.batches import Batch
from training.student.network import Student, StudentOutput
from training.teacher.answers.targets import Targets


def subclass_loss(logits: Tensor, within: Tensor, targets: Tensor, target_within: Tensor) -> Tensor:
    """KL over subclasses, p(c, s) = p(c) p(s | c) on both sides (after LELP, arXiv 2409.20449).

    Summed over s, the student's p(c, s) is p(c) of the served head by construction.

    Shapes:
        logits, targets: the student's logits and the teacher's log-probabilities, float [B, C]
        within: the student's logits of subclasses in their class, float [B, C, S]
        target_within: log-probabilities of the same, float [B, C, S]
    """
    student = logits.log_softmax(1)[:, :, None] + within.log_softmax(2)
    teacher = targets[:, :, None] + target_within
    return (teacher.exp() * (teacher - student)).sum((1, 2)).mean()


def class_axes(features: Tensor, labels: Tensor, classes: int, axes: int) -> tuple[Tensor, Tensor]:
    """Each class's mean, float32 [C, d], and principal axes over their deviations, [C, d, S].

    An axis is divided by its standard deviation; a class of few nodes has zeros in place of the
    axes that it lacks.
    """
    width = features.shape[1]
    means, maps = torch.zeros(classes, width), torch.zeros(classes, width, axes)
    for label in range(classes):
        own = features[labels == label]
        if len(own) < 2:
            continue
        means[label] = own.mean(0)
        _, scale, directions = torch.linalg.svd(own - means[label], full_matrices=False)
        kept = int((scale[:axes] > 1e-6).sum())
        deviation = scale[:kept] / (len(own) - 1) ** 0.5
        maps[label, :, :kept] = (directions[:kept] / deviation[:, None]).T
    return means, maps


class Subclasses(Objective):
    """`subclass_loss` on all nodes that the teacher was asked about and not tuned on; the head of
    subclasses is dropped after training.
    """

    reach = "all"

    def __init__(
        self, targets: Targets, nodes: FeatureNodes, width: int, options: ObjectiveOptions
    ) -> None:
        super().__init__()
        features = targets.required_features("lelp")[-1]
        self.targets, self.options = targets, options
        self.read = targets.asked & targets.known & ~targets.tuned
        self.means, self.axes = class_axes(
            features[nodes.mask].float(),
            nodes.classes[nodes.mask],
            targets.classes,
            options.subclasses,
        )
        self.head = nn.Linear(width, targets.classes * options.subclasses)

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = batch.seeds[self.read[batch.nodes[: batch.num_seeds]]]
        if not len(rows):
            return nothing(output)
        nodes = batch.nodes[rows]
        features = self.targets.required_features("lelp")[-1, nodes].float()
        shape = (len(rows), self.targets.classes, self.options.subclasses)
        return subclass_loss(
            output.logits[rows],
            self.head(output.hidden[-1][rows]).view(shape),
            self.targets.log_probabilities[nodes],
            self.within(features),
        )

    def within(self, features: Tensor) -> Tensor:
        """The teacher's log-probabilities of subclasses in their class, float32 [B, C, S]."""
        # (x - m) A = x A - m A, without a [B, C, d] difference in between
        scores = torch.einsum("bd,cds->bcs", features, self.axes)
        scores = scores - torch.einsum("cd,cds->cs", self.means, self.axes)
        return (scores / self.options.subclass_temperature).log_softmax(2)
