"""Fits a linear head to a language model's features."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from understudy.progress import Progress, silent

EPOCHS = 300  # maximum; full-batch steps
PATIENCE = 30  # epochs without a better validation accuracy
LEARNING_RATE = 1e-2  # of AdamW
WEIGHT_DECAY = 1e-2  # of AdamW
DROPOUT = 0.3  # probability, on the features
STAGE = "Fitting the teacher's head"


def fit_head(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    classes: int,
    seed: int = 0,
    progress: Progress = silent,
    dropout: float = DROPOUT,
) -> nn.Linear:
    """Fits a linear head to the features of all hops; validation picks the epoch.

    Shapes:
        features: float [H, M, d]
        labels: int64 [M]
        train, validation: int64, columns of `features`
    """
    torch.manual_seed(seed)
    x = torch.from_numpy(np.asarray(features, dtype=np.float32))
    mean, deviation = moments(x[:, train])
    x = (x - mean) / deviation
    y = torch.from_numpy(labels)
    head = nn.Linear(x.shape[2], classes)
    optimizer = torch.optim.AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    best, best_state, best_epoch = -1.0, copy.deepcopy(head.state_dict()), 0
    for epoch in range(EPOCHS):
        optimizer.zero_grad()
        logits = head(F.dropout(x[:, train], dropout))
        loss = F.cross_entropy(logits.flatten(0, 1), y[train].repeat(len(x)))
        loss.backward()
        optimizer.step()
        accuracy = accuracy_of(head, x[:, validation], y[validation])
        if accuracy > best:
            best, best_state, best_epoch = accuracy, copy.deepcopy(head.state_dict()), epoch
        progress(STAGE, epoch + 1, EPOCHS)
        if epoch - best_epoch >= PATIENCE:
            break
    progress(STAGE, EPOCHS, EPOCHS)
    head.load_state_dict(best_state)
    return unscaled(head, mean, deviation)


def answers_out_of_fold(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    folds: NDArray[np.int64],
    classes: int,
    seed: int = 0,
    progress: Progress = silent,
    dropout: float = DROPOUT,
) -> NDArray[np.float32]:
    """The answers about training nodes of heads that were fitted without their labels.

    Shapes:
        features, labels, train, validation: as `fit_head`'s
        folds: int64 [T], of the training nodes
        returns: log-probabilities float32 [H, T, C]; uniform if one fold holds every node
    """
    alike = -np.log(classes)
    result = np.full((len(features), len(train), classes), alike, dtype=np.float32)
    for fold in np.unique(folds):
        kept, left = train[folds != fold], train[folds == fold]
        if not len(kept):
            continue
        head = fit_head(features, labels, kept, validation, classes, seed, progress, dropout)
        result[:, folds == fold] = head_answers(head, features[:, left])
    return result


@torch.no_grad()
def head_answers(head: nn.Linear, features: NDArray[np.floating]) -> NDArray[np.float32]:
    """[..., d] → log-probabilities float32 [..., C]."""
    x = torch.from_numpy(np.asarray(features, dtype=np.float32))
    answers: NDArray[np.float32] = head(x).log_softmax(-1).numpy()
    return answers


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every feature, over hops and nodes; float32 [d] each."""
    flat = x.flatten(0, 1)
    return flat.mean(0), flat.std(0, correction=0).clamp(min=1e-6)


@torch.no_grad()
def accuracy_of(head: nn.Linear, x: Tensor, y: Tensor) -> float:
    """Mean over hops; 0 if there is no node."""
    return float((head(x).argmax(2) == y).float().mean()) if len(y) else 0.0


@torch.no_grad()
def unscaled(head: nn.Linear, mean: Tensor, deviation: Tensor) -> nn.Linear:
    """Folds the scaling into the head, which then reads raw features: W (x - m) / s + b."""
    head.weight /= deviation
    head.bias.sub_(head.weight @ mean)
    return head
