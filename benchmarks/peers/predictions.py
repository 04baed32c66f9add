"""Converts logits to answers in the service's form, with numpy alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.peer import NodeBody
from understudy.bundle import Manifest

DECIMALS = 6


def predictions(
    logits: NDArray[np.float32], nodes: Sequence[NodeBody], manifest: Manifest, top_k: int
) -> list[dict[str, Any]]:
    """Makes each node's prediction: its most probable labels, with calibrated probabilities.

    Shapes:
        logits: float32 [B, classes]
    """
    scaled = logits / np.float32(manifest.calibration.temperature)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    scores = powers / powers.sum(axis=1, keepdims=True)
    named = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    best = np.take_along_axis(scores, named, axis=1)
    answers = []
    for position, (node, labels, own) in enumerate(
        zip(nodes, named.tolist(), best.tolist(), strict=True)
    ):
        top = [
            {"label": manifest.label_names[label], "score": round(score, DECIMALS)}
            for label, score in zip(labels, own, strict=True)
        ]
        answers.append({"index": position, "id": node.get("id"), **top[0], "top": top})
    return answers
