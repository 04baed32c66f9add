"""The one training loop: whole graphs or batches, the epoch chosen by validation accuracy."""

import copy
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from training.config import Epoch, Training, TrainingConfig
from training.data import Batch, GraphData, train_mask, whole_graph
from training.errors import DivergedError
from training.losses.objectives import Term, total_loss
from training.student.batches import Sampling, sampled_batches, seed_steps
from training.student.network import STUDENTS, MessageLayer, Student, StudentOutput
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
    evaluation = Evaluation(student, data)
    for number in range(config.epochs):
        loss = run_epoch(student, next(epoch_batches), terms, optimizer, embedded)
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} in epoch {number + 1}; lower --learning-rate")
        embedded = None  # let go of the last one before the next is made
        embedded = student.embed(data.features) if shared else None
        epochs.append(Epoch(loss, *evaluation(student, embedded)))
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
    train, others = data.train.numpy(), np.empty(0, dtype=np.int64)
    if any(term.objective.reach == "all" for term in terms):
        others = np.flatnonzero(~train_mask(data).numpy())
    kind, layers = student.config.kind, student.config.layers
    hops = 0 if STUDENTS[kind].weighting == "none" else layers
    sampling = Sampling(hops, config.fanout, kind)
    generator = np.random.default_rng([config.seed, 4])
    while True:
        steps = seed_steps(train, others, config.batch_size, generator)
        yield sampled_batches(data, steps, sampling, generator)


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
        loss = step_loss(student, batch, terms, embedded)
        loss.backward()
        optimizer.step()
        total += float(loss.item()) * batch.num_seeds
        count += batch.num_seeds
    return total / count


def step_loss(
    student: Student, batch: Batch, terms: Sequence[Term], embedded: Tensor | None
) -> Tensor:
    """Scalar; the activations are let go of but for what its gradient needs."""
    last = any(term.objective.reads_last for term in terms)
    output = student(batch.features, batch.edges, embedded, last)
    return total_loss(terms, student, output, batch)


class Evaluation:
    """Accuracies on train and val: the last layer is computed for their nodes alone."""

    def __init__(self, student: Student, data: GraphData) -> None:
        self.data = data
        self.nodes = torch.cat([data.train, data.val])
        product = cast(MessageLayer, student.layers[-1]).product(data.edges)
        self.product = None if product is None else product.of(self.nodes.numpy())

    @torch.no_grad()
    def __call__(self, student: Student, embedded: Tensor | None) -> tuple[float, float]:
        """Shares of train and of val; leaves the student in evaluation mode."""
        student.eval()
        data, nodes = self.data, self.nodes
        logits = student.of_nodes(data.features, data.edges, nodes, self.product, embedded)
        right = logits.argmax(1) == data.labels[nodes]
        train, val = right.double().split([len(data.train), len(data.val)])
        return float(train.mean()), float(val.mean())


@torch.no_grad()
def predict(student: Student, data: GraphData) -> Tensor:
    """Logits of every node, [N, classes]; leaves the student in evaluation mode."""
    student.eval()
    output: StudentOutput = student(data.features, data.edges, last=False)
    return output.logits
