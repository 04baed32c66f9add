"""Rows of like size, so that one scale of 8 bits serves all of a batch.

GIN sums over neighbours: a hub's row is many times larger than a leaf's, and a scale for both
leaves nothing for the leaf. A row divided by its own largest value before a linear map and
multiplied by it afterwards gives the same result.
"""

import copy
from typing import cast

from torch import Tensor, nn

from training.student.convolutions import GINConv
from training.student.network import MessageLayer, Student

SMALLEST = 1e-12  # a row's largest value, so that an empty one is not divided by nothing


class EvenRows(nn.Module):
    """A linear map, its rows evened out: x [B, in] → [B, out]."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        size = x.abs().amax(dim=1, keepdim=True).clamp_min(SMALLEST)
        return (x / size) @ self.weight.T * size + self.bias


def even_rows(student: Student) -> Student:
    """A copy of a student that computes the same with even rows; other kinds than GIN need none."""
    result = copy.deepcopy(student)
    for layer in result.layers:
        conv = cast(MessageLayer, layer).conv
        if isinstance(conv, GINConv):
            parts = [EvenRows(m) if isinstance(m, nn.Linear) else m for m in conv.nn]
            conv.nn = nn.Sequential(*parts)
    return result.eval()
