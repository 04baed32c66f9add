"""The joint view: a linear head on the concatenated features of every hop's prompt.

The head that answers prompts is the same for all hops. This one weighs the hops' features against
each other, while the ensemble can only average answers.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.folds import training_folds
from training.teacher.answers.folder import HopAnswers
from training.teacher.head import accuracy_of, answers_out_of_fold, fit_head, head_answers
from understudy.graph import TextGraph
from understudy.graph.splits import labeled_nodes
from understudy.progress import Progress, silent

DROPOUTS = (0.3, 0.6, 0.8)  # probabilities on the features; the best on validation is kept
BLOCK_NODES = 8_192  # number whose features are in float32 at once


def with_joint_view(
    graph: TextGraph, answers: HopAnswers, seed: int = 0, progress: Progress = silent
) -> HopAnswers:
    """Adds the answers of a head on all hops' features; answers about training nodes come from
    heads that had not seen these nodes.

    Answers of one hop, without features, or about no training node stay as they are.
    """
    features = answers.features
    train = np.flatnonzero(np.isin(answers.nodes, labeled_nodes(graph, "train")))
    if features is None or len(features) < 2 or not len(train):
        return answers
    validation = np.flatnonzero(np.isin(answers.nodes, labeled_nodes(graph, "val")))
    rows = np.concatenate([train, validation])
    labels = graph.labels[answers.nodes[rows]]
    x = joined(features[:, rows])
    count, classes = len(train), graph.num_classes
    head, dropout = best_head(x, labels, count, classes, seed, progress)
    values = apply(head, features)
    folds = training_folds(graph, answers.nodes[train], seed)
    columns = np.arange(len(rows))
    values[train] = answers_out_of_fold(
        x[None], labels, columns[:count], columns[count:], folds, classes, seed, progress, dropout
    )[0]
    return replace(answers, joint=values)


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
) -> tuple[nn.Linear, float]:
    """Fits a head for each dropout; returns the best on validation, the rows after the first
    `train`, and its dropout.
    """
    columns = np.arange(len(x))
    found: list[tuple[float, nn.Linear, float]] = []
    for dropout in DROPOUTS:
        head = fit_head(
            x[None], labels, columns[:train], columns[train:], classes, seed, progress, dropout
        )
        known = torch.from_numpy(x[None, train:]), torch.from_numpy(labels[train:])
        found.append((accuracy_of(head, *known), head, dropout))
    return max(found, key=lambda one: one[0])[1:]


def apply(head: nn.Linear, features: NDArray[np.float16]) -> NDArray[np.float32]:
    """Log-probabilities float32 [M, C]."""
    blocks = [
        head_answers(head, joined(features[:, start : start + BLOCK_NODES]))
        for start in range(0, features.shape[1], BLOCK_NODES)
    ]
    return np.concatenate(blocks)
