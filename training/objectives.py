"""What a student is trained towards: named terms, summed with weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from training.data import GraphData
from training.student import StudentOutput

Objective = Callable[[StudentOutput, GraphData], Tensor]


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    weight: float
    objective: Objective


def cross_entropy(output: StudentOutput, data: GraphData) -> Tensor:
    """The labels of the training nodes; scalar, nats a node."""
    return F.cross_entropy(output.logits[data.train], data.labels[data.train])


def total_loss(terms: Sequence[Term], output: StudentOutput, data: GraphData) -> Tensor:
    losses = [term.weight * term.objective(output, data) for term in terms]
    return sum(losses[1:], losses[0])
