"""The one training loop: full-batch steps, the epoch chosen by validation accuracy."""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graph.progress import Progress, silent
from training.config import TrainingConfig
from training.data import GraphData
from training.errors import DivergedError
from training.objectives import Term, total_loss
from training.student import Student

STAGE = "Training the student"


@dataclass(frozen=True, slots=True)
class Epoch:
    loss: float  # nats a node, all terms
    train_accuracy: float
    val_accuracy: float


@dataclass(frozen=True, slots=True)
class Training:
    """What happened; the student itself holds the best epoch's weights."""

    epochs: list[Epoch]
    best_epoch: int  # index into `epochs`
    seconds: float


def train(
    student: Student,
    data: GraphData,
    terms: Sequence[Term],
    config: TrainingConfig,
    progress: Progress = silent,
) -> Training:
    """Trains until validation accuracy has not risen for `config.patience` epochs.

    The test split is not read. On return the student has the weights of the best epoch (the
    earliest of equals) and is in evaluation mode.

    Raises:
        DivergedError: the loss is not finite.
    """
    optimizer = torch.optim.AdamW(
        student.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    started = time.monotonic()
    epochs: list[Epoch] = []
    best, best_state = 0, copy.deepcopy(student.state_dict())
    for number in range(config.epochs):
        loss = step(student, data, terms, optimizer)
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} in epoch {number + 1}; lower --learning-rate")
        logits = predict(student, data)
        epochs.append(
            Epoch(loss, *(accuracy(logits, data, part) for part in (data.train, data.val)))
        )
        if number == 0 or epochs[number].val_accuracy > epochs[best].val_accuracy:
            best, best_state = number, copy.deepcopy(student.state_dict())
        progress(STAGE, number + 1, config.epochs)
        if number - best >= config.patience:
            break
    progress(STAGE, config.epochs, config.epochs)
    student.load_state_dict(best_state)
    student.eval()
    return Training(epochs, best, time.monotonic() - started)


def step(
    student: Student, data: GraphData, terms: Sequence[Term], optimizer: torch.optim.Optimizer
) -> float:
    student.train()
    optimizer.zero_grad()
    loss = total_loss(terms, student(data.features, data.edges), data)
    loss.backward()
    optimizer.step()
    return float(loss.item())


@torch.no_grad()
def predict(student: Student, data: GraphData) -> Tensor:
    """Logits of every node, [N, classes]; leaves the student in evaluation mode."""
    student.eval()
    logits: Tensor = student(data.features, data.edges).logits
    return logits


def accuracy(logits: Tensor, data: GraphData, nodes: Tensor) -> float:
    return float((logits[nodes].argmax(1) == data.labels[nodes]).double().mean())
