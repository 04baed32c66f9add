"""Learning from the teacher's class probabilities."""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.losses.base import Objective, Reach, nothing
from training.student.batches import Batch
from training.student.network import Student, StudentOutput
from training.teacher.answers.targets import Targets


def soft_label_loss(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T² KL(teacher ‖ student), both softened by T (arXiv 1503.02531, section 2).

    With T = 1 on all nodes it is GLNN's distillation loss too (arXiv 2110.08727).

    Shapes:
        logits: the student's, float [B, C]
        targets: the teacher's log-probabilities, float [B, C]
    """
    student = (logits / temperature).log_softmax(1)
    teacher = (targets / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def balanced_divergence_loss(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Forward and reverse KL, mixed for each node by the gap of entropies (arXiv 2212.12965).

    The forward divergence, which punishes mass that the student misses, leads where the student
    is surer than the teacher; the reverse one, which punishes mass in the wrong place, where it
    is less sure. The share of the forward one is sigmoid(H(teacher) - H(student)), our choice;
    no gradient flows through it.
    """
    student = (logits / temperature).log_softmax(1)
    teacher = (targets / temperature).log_softmax(1)
    forward = (teacher.exp() * (teacher - student)).sum(1)
    reverse = (student.exp() * (student - teacher)).sum(1)
    share = torch.sigmoid(entropy(teacher) - entropy(student)).detach()
    return temperature**2 * (share * forward + (1 - share) * reverse).mean()


def entropy(log_probabilities: Tensor) -> Tensor:
    """Nats, [B]."""
    return -(log_probabilities.exp() * log_probabilities).sum(1)


class SoftLabels(Objective):
    """`soft_label_loss`, or its balanced form, on training nodes or on all the others."""

    def __init__(
        self, targets: Targets, temperature: float, unlabeled: bool, balanced: bool = False
    ) -> None:
        super().__init__()
        self.targets, self.temperature = targets, temperature
        self.unlabeled = unlabeled
        self.reach: Reach = "all" if unlabeled else "train"
        self.loss = balanced_divergence_loss if balanced else soft_label_loss

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = batch.untrained if self.unlabeled else batch.train
        rows = rows[self.targets.known[batch.nodes[rows]]]
        if not len(rows):
            return nothing(output)
        targets = self.targets.log_probabilities[batch.nodes[rows]]
        return self.loss(output.logits[rows], targets, self.temperature)
