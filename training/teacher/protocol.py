"""The interface of a teacher: something that answers prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from understudy.graph.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to P prompts.

    Shapes:
        log_probabilities: float32 [P, C], nats; rows sum to 1 when exponentiated
        features: float32 [P, d_T], or None where the teacher shows none
    """

    log_probabilities: NDArray[np.float32]
    features: NDArray[np.float32] | None = None


class Teacher(Protocol):
    """Answers prompts in batches; the same prompt always gets the same answer."""

    def answer(self, prompts: Sequence[Prompt]) -> Answers: ...

    def batches(self, prompts: Sequence[Prompt], tokens_per_batch: int) -> list[list[int]]:
        """Groups the prompts' positions into batches of limited size, padding included."""
        ...


class TunableTeacher(Teacher, Protocol):
    """A teacher with weights that can be tuned on labelled prompts."""

    @property
    def module(self) -> nn.Module:
        """The module that holds every weight; those to be tuned require gradients, in a stable
        order.
        """
        ...

    def loss(self, prompts: Sequence[Prompt], labels: Tensor) -> Tensor:
        """The scalar loss, in nats per prompt; labels: int64 [P]."""
        ...
