"""Mixed features with mixed targets."""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.losses.base import Objective, nothing
from training.student.batches import Batch
from training.student.network import Student, StudentOutput
from training.teacher.answers.targets import Targets


def mixed_loss(logits: Tensor, targets: Tensor, partners: Tensor, shares: Tensor) -> Tensor:
    """KL(λ p_i + (1 - λ) p_j ‖ student at the mixture) (manifold mixup, arXiv 1806.05236).

    Shapes:
        logits: the student's, of the mixtures, float [B, C]
        targets: the teacher's log-probabilities, float [B, C]
        partners: int64 [B], positions; shares: float [B, 1], λ
    """
    probabilities = targets.exp()
    mixture = shares * probabilities + (1 - shares) * probabilities[partners]
    return F.kl_div(logits.log_softmax(1), mixture, reduction="batchmean")


class Mixtures(Objective):
    """`mixed_loss` with the last layer's activations mixed.

    Mixing there and not at the input leaves every node's neighbourhood its own, as the two-branch
    mixup for graphs does (Wang et al., WWW 2021).
    """

    reach = "all"

    def __init__(self, targets: Targets, alpha: float) -> None:
        super().__init__()
        self.targets = targets
        self.shares = torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha))

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = batch.seeds[self.targets.known[batch.nodes[: batch.num_seeds]]]
        if not len(rows):
            return nothing(output)
        h = output.hidden[-1][rows]
        partners = torch.randperm(len(rows))
        shares = self.shares.sample((len(rows), 1))
        logits = student.head(student.drop(shares * h + (1 - shares) * h[partners]))
        targets = self.targets.log_probabilities[batch.nodes[rows]]
        return mixed_loss(logits, targets, partners, shares)
