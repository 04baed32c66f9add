"""An objective: a loss with, perhaps, parameters of its own that are never served."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from training.student.batches import Batch
from training.student.network import Student, StudentOutput

Reach = Literal["train", "all"]


class Objective(nn.Module):
    """A loss over a batch's seeds.

    Its parameters are optimised with the student's and dropped after training. What it knows of
    the graph it indexes by `batch.nodes`.
    """

    reach: Reach = "train"  # the nodes that it reads: those of the training split, or all

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        """Scalar, mean over nodes; 0 where the batch holds none that it reads."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    weight: float
    objective: Objective


class CrossEntropy(Objective):
    """The labels of the training nodes, nats a node."""

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        if not len(batch.train):
            return nothing(output)
        return F.cross_entropy(output.logits[batch.train], batch.labels[batch.train])


def nothing(output: StudentOutput) -> Tensor:
    """A zero that can be differentiated."""
    return output.logits.sum() * 0.0


def total_loss(
    terms: Sequence[Term], student: Student, output: StudentOutput, batch: Batch
) -> Tensor:
    losses: list[Tensor] = [term.weight * term.objective(student, output, batch) for term in terms]
    return sum(losses[1:], losses[0])
