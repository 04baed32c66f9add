"""Low and high frequencies of the teacher's knowledge over the edges."""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import ObjectiveOptions
from training.losses.base import Objective, nothing
from training.student.batches import Batch
from training.student.network import Student, StudentOutput
from training.teacher.answers.targets import Targets


def low_frequency_loss(logits: Tensor, targets: Tensor, pairs: Tensor) -> Tensor:
    """Mean over pairs of KL(teacher at j ‖ student at i) (FF-G2M, arXiv 2305.10758).

    Shapes:
        logits, targets: the student's logits and the teacher's log-probabilities, float [n, C]
        pairs: int64 [2, P], (j, i)
    """
    student = logits.log_softmax(1)[pairs[1]]
    return F.kl_div(student, targets[pairs[0]], reduction="batchmean", log_target=True)


def high_frequency_loss(
    logits: Tensor, targets: Tensor, pairs: Tensor, temperature: float
) -> Tensor:
    """Mean over pairs of KL between softmax(|z_i - z_j| / τ) of both (FF-G2M)."""
    student, teacher = (
        ((z[pairs[1]] - z[pairs[0]]).abs() / temperature).log_softmax(1)
        for z in (logits.log_softmax(1), targets)
    )
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


class Frequencies(Objective):
    """Both losses, over the batch's edges whose ends the teacher knows; at most so many a step."""

    reach = "all"

    def __init__(self, targets: Targets, options: ObjectiveOptions) -> None:
        super().__init__()
        self.targets, self.options = targets, options

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        pairs = batch.edges.edge_index
        known = self.targets.known[batch.nodes]
        pairs = pairs[:, known[pairs].all(0) & (pairs[1] < batch.num_seeds)]
        if pairs.shape[1] > self.options.pairs:
            pairs = pairs[:, torch.randperm(pairs.shape[1])[: self.options.pairs]]
        if not pairs.shape[1]:
            return nothing(output)
        targets = self.targets.log_probabilities[batch.nodes]
        low = low_frequency_loss(output.logits, targets, pairs)
        return low + high_frequency_loss(
            output.logits, targets, pairs, self.options.frequency_temperature
        )
