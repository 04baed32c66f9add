"""The one training loop: whole graphs or batches, the epoch chosen by validation accuracy."""

import copy
import math
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from training.config import Epoch, Training, TrainingConfig
from training.data import Batch, GraphData, whole_graph
from training.errors import DivergedError
from training.losses.objectives import Term, total_loss
from training.student.batches import Sampling, sampled_batches
from training.student.network import STUDENTS, Student
from understudy.graph.progress import Progress, silent

STAGE = "Training the student"


def train(
    student: Student,
    data: GraphData,
    terms: Sequence[Term],
    config: TrainingConfig,
    progress: Progress = silent,
) -> Training:
    """Trains until validation accuracy has not risen for `config.patience` epochs.

    The objectives' own parameters are optimised with the student's. The test split is not read.
    On return the student has the weights of the best epoch (the earliest of equals) and is in
    evaluation mode.

    Raises:
        DivergedError: the loss is not finite.
    """
    own = [weight for term in terms for weight in term.objective.parameters()]
    optimizer = torch.optim.AdamW(
        [*student.parameters(), *own],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    epoch_batches = batches(student, data, terms, config)
    started = time.monotonic()
    epochs: list[Epoch] = []
    best, best_state = 0, copy.deepcopy(student.state_dict())
    # h0 of whole graphs, which an epoch's evaluation and the next epoch's step have in common
    shared = not config.batch_size and not student.config.input_dropout
    embedded: Tensor | None = None
    for number in range(config.epochs):
        loss = run_epoch(student, next(epoch_batches), terms, optimizer, embedded)
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} in epoch {number + 1}; lower --learning-rate")
        embedded = student.embed(data.features) if shared else None
        logits = predict(student, data, embedded)
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


def batches(
    student: Student, data: GraphData, terms: Sequence[Term], config: TrainingConfig
) -> Iterator[Iterable[Batch]]:
    """The batches of each epoch, without end; a step for the whole graph, or one a batch."""
    if not config.batch_size:
        batch = whole_graph(data)
        while True:
            yield [batch]
    reaches_all = any(term.objective.reach == "all" for term in terms)
    seeds = torch.arange(len(data.labels)) if reaches_all else data.train
    kind, layers = student.config.kind, student.config.layers
    hops = 0 if STUDENTS[kind].weighting == "none" else layers
    sampling = Sampling(hops, config.fanout, config.batch_size, kind)
    generator = np.random.default_rng([config.seed, 4])
    while True:
        yield sampled_batches(data, seeds, sampling, generator)


def run_epoch(
    student: Student,
    epoch: Iterable[Batch],
    terms: Sequence[Term],
    optimizer: torch.optim.Optimizer,
    embedded: Tensor | None = None,
) -> float:
    """The mean loss over the epoch's seeds; `embedded` is h0, for an epoch of one batch."""
    student.train()
    total, count = 0.0, 0
    for batch in epoch:
        optimizer.zero_grad()
        output = student(batch.features, batch.edges, embedded)
        loss = total_loss(terms, student, output, batch)
        loss.backward()
        optimizer.step()
        total += float(loss.item()) * batch.num_seeds
        count += batch.num_seeds
    return total / count


@torch.no_grad()
def predict(student: Student, data: GraphData, embedded: Tensor | None = None) -> Tensor:
    """Logits of every node, [N, classes]; leaves the student in evaluation mode."""
    student.eval()
    logits: Tensor = student(data.features, data.edges, embedded).logits
    return logits


def accuracy(logits: Tensor, data: GraphData, nodes: Tensor) -> float:
    return float((logits[nodes].argmax(1) == data.labels[nodes]).double().mean())
