"""All hops at once: a linear head that reads the features of every hop's prompt side by side.

The head that answers a prompt serves every hop alike. This one weighs them against each other, a
feature at a time, where the ensemble can only average their answers.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.teacher.answers.folder import HopAnswers
from training.teacher.head import accuracy_of, fit_head
from training.trainable import labeled_nodes
from understudy.graph import TextGraph
from understudy.graph.progress import Progress, silent

DROPOUTS = (0.3, 0.6, 0.8)  # probabilities on the features; the best on validation is kept
BLOCK_NODES = 8_192  # whose features are in float32 at once


def with_joint_view(
    graph: TextGraph, answers: HopAnswers, seed: int = 0, progress: Progress = silent
) -> HopAnswers:
    """Adds what a head on all hops' features says.

    Answers of one hop, without features, or about no training node stay as they are.
    """
    features = answers.features
    rows = np.flatnonzero(np.isin(answers.nodes, labeled_nodes(graph, "train")))
    if features is None or len(features) < 2 or not len(rows):
        return answers
    validation = np.isin(answers.nodes, labeled_nodes(graph, "val"))
    rows = np.concatenate([rows, np.flatnonzero(validation)])
    count = len(rows) - int(validation.sum())
    labels = graph.labels[answers.nodes[rows]]
    head = best_head(joined(features[:, rows]), labels, count, graph.num_classes, seed, progress)
    return replace(answers, joint=apply(head, features))


def joined(features: NDArray[np.float16]) -> NDArray[np.float32]:
    """[H, M, d] → [M, H d]."""
    hops, count, width = features.shape
    values: NDArray[np.float32] = features.swapaxes(0, 1).astype(np.float32)
    return values.reshape(count, hops * width)


def best_head(
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    train: int,
    classes: int,
    seed: int,
    progress: Progress,
) -> nn.Linear:
    """The head whose dropout does best on validation: the rows after the first `train`."""
    columns = np.arange(len(x))
    found: list[tuple[float, nn.Linear]] = []
    for dropout in DROPOUTS:
        head = fit_head(
            x[None], labels, columns[:train], columns[train:], classes, seed, progress, dropout
        )
        known = torch.from_numpy(x[None, train:]), torch.from_numpy(labels[train:])
        found.append((accuracy_of(head, *known), head))
    return max(found, key=lambda pair: pair[0])[1]


@torch.no_grad()
def apply(head: nn.Linear, features: NDArray[np.float16]) -> NDArray[np.float32]:
    """Log-probabilities float32 [M, C]."""
    blocks = [
        head(torch.from_numpy(joined(features[:, start : start + BLOCK_NODES]))).log_softmax(1)
        for start in range(0, features.shape[1], BLOCK_NODES)
    ]
    return torch.cat(blocks).numpy()
