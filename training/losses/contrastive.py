"""LinguGKD's layer-adaptive contrastive distillation (arXiv 2402.05894)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from training.config import ObjectiveOptions, StudentConfig
from training.errors import TeacherError
from training.losses.base import Objective, nothing
from training.losses.feature_nodes import FeatureNodes
from training.student.batches import Batch
from training.student.network import Student, StudentOutput
from training.teacher.answers.targets import Targets


def contrastive_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    anchors: Tensor,
    temperature: float,
    block: int,
) -> Tensor:
    """InfoNCE of each anchor against its own teacher feature (arXiv 1807.03748, as LinguGKD,
    arXiv 2402.05894, uses it).

    Negatives are the candidates of another class; others of the same class are left out. Scores
    are made for `block` anchors at a time and made again in the backward pass, so that memory is
    block by candidates and not their square.

    Shapes:
        student, teacher: float [M, d], rows of unit norm; row i of both is one node, a candidate
        labels: int64 [M]
        anchors: int64 [A], positions among the candidates
    """
    total = student.new_zeros(())
    for part in anchors.split(block):
        total = total + checkpoint(
            block_loss, student, teacher, labels, part, temperature, use_reentrant=False
        )
    return total / len(anchors)


def block_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, anchors: Tensor, temperature: float
) -> Tensor:
    """The sum of the anchors' losses, nats."""
    scores = student[anchors] @ teacher.T / temperature  # [A, M]
    own = scores.gather(1, anchors[:, None]).squeeze(1)
    same = labels[anchors, None] == labels[None]
    same = same.scatter(1, anchors[:, None], False)  # the positive stays
    return (scores.masked_fill(same, float("-inf")).logsumexp(1) - own).sum()


class Projector(nn.Module):
    """Teacher features into the student's space: [M, d_T] → [M, d] (LinguGKD)."""

    def __init__(self, source: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(source, width), nn.PReLU(), nn.LayerNorm(width), nn.Dropout(dropout)
        )

    def forward(self, features: Tensor) -> Tensor:
        projected: Tensor = self.layers(features)
        return projected


class LayerContrast(Objective):
    """The mean of `contrastive_loss` over the layers that the teacher has a hop for.

    Each hop has its own projector, then all share one bias-free map (LinguGKD). There the layers'
    shares are a softmax of learned numbers; their gradient moves them to whichever loss is already
    small, so ours are equal and fixed.
    """

    def __init__(
        self,
        targets: Targets,
        nodes: FeatureNodes,
        student: StudentConfig,
        options: ObjectiveOptions,
    ) -> None:
        super().__init__()
        features = targets.required_features("lingugkd")
        # (layer, row of the hop's features): h(l) of the student against hop l of the teacher
        self.pairs = [(hop, row) for row, hop in enumerate(targets.hops) if hop <= student.layers]
        if not self.pairs:
            raise TeacherError(
                f"lingugkd matches hop l with layer l: the teacher's hops are {targets.hops}, and "
                f"the student has {student.layers} layers; raise --layers"
            )
        self.targets, self.nodes, self.options = targets, nodes, options
        self.reach = nodes.reach
        self.projectors = nn.ModuleList(
            Projector(features.shape[2], student.hidden, options.projector_dropout)
            for _ in self.pairs
        )
        self.shared = nn.Linear(student.hidden, student.hidden, bias=False)

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = self.nodes.rows(batch)
        rows = rows[torch.randperm(len(rows))[: self.options.candidates]]
        if not len(rows):
            return nothing(output)
        own = batch.nodes[rows]
        anchors = torch.arange(min(len(rows), self.options.anchors))  # rows are in random order
        losses = [
            contrastive_loss(
                F.normalize(output.hidden[layer][rows], dim=1),
                F.normalize(self.project(number, row, own), dim=1),
                self.nodes.classes[own],
                anchors,
                self.options.contrast_temperature,
                self.options.block,
            )
            for number, (layer, row) in enumerate(self.pairs)
        ]
        return torch.stack(losses).mean()

    def project(self, number: int, row: int, nodes: Tensor) -> Tensor:
        features = self.targets.required_features("lingugkd")[row, nodes].float()
        projected: Tensor = self.shared(self.projectors[number](features))
        return projected
