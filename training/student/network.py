"""The student: an input layer, message-passing layers, and a linear head.

h0 = input(features) is the pre-message-passing layer; layer l gives h(l); the logits are linear in
the last one (LinguGKD, arXiv 2402.05894, section 3.3). Every h is kept, because distillation
matches them hop by hop.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.config import StudentConfig
from training.encoders.features import Features, HashedFeatures
from training.encoders.sparse_product import sparse_product
from training.student.kinds import STUDENTS, Edges, convolution

BAG_WIDTH = 128  # of the learned embedding of an n-gram bucket


@dataclass(frozen=True, slots=True)
class StudentOutput:
    """Shapes: hidden: h0 … hL, each [N, hidden]; logits: [N, classes]."""

    hidden: list[Tensor]
    logits: Tensor


class HashedInput(nn.Module):
    """A learned embedding bag over n-gram buckets, then a linear map: [N, buckets] → [N, hidden].

    An n-gram that no training text holds keeps its initial embedding, so that starts at zero.
    """

    def __init__(self, buckets: int, hidden: int, probability: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(buckets, BAG_WIDTH))
        self.probability = probability
        self.linear = nn.Linear(BAG_WIDTH, hidden)

    def forward(self, features: HashedFeatures) -> Tensor:
        bag = sparse_product(features.rows, self.table)
        return cast(Tensor, self.linear(dropout(bag, self.probability, self.training)))


class DenseInput(nn.Linear):
    """A linear map of the encoder's embeddings: [N, dimension] → [N, hidden]."""

    def __init__(self, dimension: int, hidden: int, probability: float) -> None:
        super().__init__(dimension, hidden)
        self.probability = probability

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(dropout(features, self.probability, self.training))


class MessageLayer(nn.Module):
    """Aggregation, normalisation, ReLU, and the layer's input added back where asked for."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.kind, self.residual = config.kind, config.residual
        self.conv = convolution(config)
        self.norm = normalization(config)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        return self.finish(h, STUDENTS[self.kind].run(self.conv, h, edges))

    def finish(self, h: Tensor, updated: Tensor) -> Tensor:
        """What follows the aggregation; the exported form shares it."""
        updated = F.relu(self.norm(updated))
        return updated + h if self.residual else updated


class Student(nn.Module):
    """A student of any kind; see `StudentConfig`.

    Shapes:
        features: dense [N, dimension] or hashed
        returns: `StudentOutput`
    """

    def __init__(self, config: StudentConfig, dimension: int, classes: int, hashed: bool) -> None:
        super().__init__()
        self.config = config
        make_input = HashedInput if hashed else DenseInput
        self.input = make_input(dimension, config.hidden, config.input_dropout)
        self.input_norm = normalization(config)
        self.layers = nn.ModuleList(MessageLayer(config) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden, classes)

    def forward(
        self, features: Features, edges: Edges, embedded: Tensor | None = None
    ) -> StudentOutput:
        """`embedded` is h0, where it is known already."""
        h = self.embed(features) if embedded is None else embedded
        hidden = [h]
        for layer in self.layers:
            h = layer(self.drop(h), edges)
            hidden.append(h)
        return StudentOutput(hidden, self.head(self.drop(h)))

    def embed(self, features: Features) -> Tensor:
        """h0 [N, hidden]."""
        return F.relu(self.input_norm(self.input(features)))

    def drop(self, h: Tensor) -> Tensor:
        return dropout(h, self.config.dropout, self.training)


def dropout(x: Tensor, probability: float, training: bool) -> Tensor:
    """Torch's dropout, three times faster on processors, where its own mask is drawn serially."""
    if not training or not probability:
        return x
    kept = (torch.rand_like(x) >= probability).to(x.dtype)
    return x * kept.mul_(1 / (1 - probability))


def normalization(config: StudentConfig) -> nn.Module:
    return nn.LayerNorm(config.hidden) if config.normalization == "layer" else nn.Identity()
