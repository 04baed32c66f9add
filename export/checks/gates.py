"""The gates of inexact variants: a variant that costs accuracy is not written."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.bundle import VariantInfo
from understudy.graph import UNLABELED, TextGraph

MAX_ACCURACY_LOSS = 0.2  # percentage points of validation accuracy
# For an embedding or a row of logits; a broken conversion is far below.
MIN_COSINES = {"int8": 0.95, "fp16": 0.999}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a variant is good enough, and otherwise the reason."""

    info: VariantInfo
    complaint: str  # empty if it passes

    @property
    def passes(self) -> bool:
        return not self.complaint


def judge(
    precision: str,
    cosine: float,
    graph: TextGraph,
    expected: NDArray[np.float32],
    found: NDArray[np.float32],
) -> Verdict:
    """Compares a variant's logits with those of fp32.

    Args:
        cosine: the smallest one that was measured on the variant's own output.

    Shapes:
        expected, found: float32 [N, classes]
    """
    members = graph.splits.get("val", np.empty(0, dtype=np.int64))
    members = members[graph.labels[members] != UNLABELED]
    if len(members) == 0:
        info = VariantInfo(precision, cosine, 0.0)
        return Verdict(info, "there is no labelled validation node to measure it on")
    change = 100 * (accuracy(graph, found, members) - accuracy(graph, expected, members))
    info = VariantInfo(precision, cosine, change)
    if not np.isfinite(found).all():
        return Verdict(info, "it gives logits that are not finite")
    if not cosine >= MIN_COSINES[precision]:
        return Verdict(info, f"its cosine to fp32 is {cosine:.4f}, below {MIN_COSINES[precision]}")
    if change < -MAX_ACCURACY_LOSS:
        return Verdict(info, f"it costs {-change:.2f} points of validation accuracy")
    return Verdict(info, "")


def accuracy(graph: TextGraph, logits: NDArray[np.float32], nodes: NDArray[np.int64]) -> float:
    return float((logits[nodes].argmax(axis=1) == graph.labels[nodes]).mean())


def smallest_cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """The smallest cosine between corresponding rows [B, d] of two arrays."""
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    products = (first * second).sum(axis=1)
    return float((products / np.maximum(norms, np.finfo(np.float32).tiny)).min(initial=1.0))
