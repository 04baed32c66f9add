"""Evens out row magnitudes, so that one 8-bit scale serves all rows of a batch.

GIN sums over neighbours, so a hub's row is many times larger than a leaf's, and a common scale
leaves no precision for the leaf. Dividing a row by its largest value before a linear map, and
multiplying afterwards, gives the same result.
"""

import copy
from typing import cast

from torch import Tensor, nn

from training.student.convolutions import GINConv
from training.student.network import MessageLayer, Student

SMALLEST = 1e-12  # lower bound of a row's largest value, against division by zero


class EvenRows(nn.Module):
    """A linear map with evened rows: x [B, in] → [B, out]."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: Tensor) -> Tensor:
        size = x.abs().amax(dim=1, keepdim=True).clamp_min(SMALLEST)
        return (x / size) @ self.weight.T * size + self.bias


def even_rows(student: Student) -> Student:
    """A copy of a student that computes the same with evened rows; only GIN needs it."""
    result = copy.deepcopy(student)
    for layer in result.layers:
        conv = cast(MessageLayer, layer).conv
        if isinstance(conv, GINConv):
            parts = [EvenRows(m) if isinstance(m, nn.Linear) else m for m in conv.nn]
            conv.nn = nn.Sequential(*parts)
    return result.eval()
