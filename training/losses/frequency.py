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
        pairs: int64 [2, P], (j, i); as published, every node is among its own neighbours
    """
    student = logits.log_softmax(1)[pairs[1]]
    return F.kl_div(student, targets[pairs[0]], reduction="batchmean", log_target=True)


def high_frequency_loss(
    logits: Tensor, targets: Tensor, pairs: Tensor, temperature: float
) -> Tensor:
    """Mean over pairs of KL between softmax(|z_i - z_j| / τ) of both (FF-G2M).

    z are logits, as published. Of a teacher there are log-probabilities: the logits whose
    exponentials sum to 1.

    Shapes: as `low_frequency_loss`'s; no pair joins a node with itself, whose difference is 0
    """
    student, teacher = (
        ((z[pairs[1]] - z[pairs[0]]).abs() / temperature).log_softmax(1) for z in (logits, targets)
    )
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


class Frequencies(Objective):
    """Both losses, over the batch's edges whose ends the teacher knows; at most so many a step.

    The low frequency is also over every node with itself, so that one without neighbours hears the
    teacher, too.
    """

    reach = "all"

    def __init__(self, targets: Targets, options: ObjectiveOptions) -> None:
        super().__init__()
        self.targets, self.options = targets, options

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        edges = batch.edges.edge_index
        known = self.targets.known[batch.nodes]
        edges = edges[:, known[edges].all(0) & (edges[1] < batch.num_seeds)]
        own = batch.seeds[known[: batch.num_seeds]]
        pairs = self.some(torch.cat([edges, own.repeat(2, 1)], dim=1))
        if not pairs.shape[1]:
            return nothing(output)
        targets = self.targets.log_probabilities[batch.nodes]
        low = low_frequency_loss(output.logits, targets, pairs)
        if not edges.shape[1]:
            return low
        return low + high_frequency_loss(
            output.logits, targets, self.some(edges), self.options.frequency_temperature
        )

    def some(self, pairs: Tensor) -> Tensor:
        """At most `options.pairs` of the pairs, drawn at random."""
        if pairs.shape[1] <= self.options.pairs:
            return pairs
        return pairs[:, torch.randperm(pairs.shape[1])[: self.options.pairs]]
