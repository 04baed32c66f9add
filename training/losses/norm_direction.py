"""Matching the norm and the direction of the teacher's features."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.losses.base import Objective, nothing
from training.losses.feature_nodes import FeatureNodes
from training.student.batches import Batch
from training.student.network import Student, StudentOutput
from training.teacher.answers.targets import Targets


def norm_direction_loss(student: Tensor, teacher: Tensor, directions: Tensor) -> Tensor:
    """Mean of 1 - s·ê / max(‖s‖, ‖t‖) (the ND loss of arXiv 2305.17007).

    Zero where s points along its class's direction and is at least as long as t.

    Shapes:
        student, teacher: float [B, d]
        directions: the unit class mean of each node's class, float [B, d]
    """
    longest = torch.maximum(student.norm(dim=1), teacher.norm(dim=1)).clamp(min=1e-8)
    return (1 - (student * directions).sum(1) / longest).mean()


class NormDirection(Objective):
    """`norm_direction_loss` of the last layer, mapped linearly into the teacher's space."""

    def __init__(self, targets: Targets, nodes: FeatureNodes, width: int) -> None:
        super().__init__()
        features = targets.required_features("nd")[-1]
        self.targets, self.nodes, self.reach = targets, nodes, nodes.reach
        self.project = nn.Linear(width, features.shape[1], bias=False)
        own, classes = features[nodes.mask].float(), nodes.classes[nodes.mask]
        self.means = class_means(own, classes, targets.classes)

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = self.nodes.rows(batch)
        if not len(rows):
            return nothing(output)
        own = batch.nodes[rows]
        teacher = self.targets.required_features("nd")[-1, own].float()
        directions = F.normalize(self.means, dim=1)[self.nodes.classes[own]]
        return norm_direction_loss(self.project(output.hidden[-1][rows]), teacher, directions)


def class_means(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """float32 [C, d]; zero for a class without a row."""
    sums = features.new_zeros(classes, features.shape[1]).index_add_(0, labels, features)
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return sums / counts[:, None]
