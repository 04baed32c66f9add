"""The training loop, over whole graphs or batches; validation accuracy picks the epoch."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import Epoch, Training, TrainingConfig
from training.data import Batch, GraphData, Product, train_mask, whole_graph
from training.encoders.features import Features
from training.errors import DivergedError
from training.losses.objectives import Term, total_loss
from training.student.batches import Sampling, parts_of, sampled_batches, seed_steps
from training.student.network import STUDENTS, MessageLayer, Student, StudentOutput
from understudy.progress import Progress, silent

STAGE = "Training the student"
JUDGED = 8_192  # maximum number of train and of val nodes that evaluate an epoch of a large graph
SMALL_PART = 4  # a graph with fewer than this many times the drawn nodes is evaluated in full


@dataclass(slots=True)
class Run:
    """The state that one epoch hands to the next."""

    student: Student
    own: nn.ModuleList  # the objectives, with their parameters
    optimizer: torch.optim.Optimizer
    order: np.random.Generator  # shuffles the seeds; identical for all members of a team
    draws: np.random.Generator  # draws neighbours; different for each worker
    best_state: dict[str, Tensor]
    epochs: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def best(self) -> int:
        """The epoch with the best validation accuracy, the first of equals."""
        return max(range(len(self.epochs)), key=lambda n: (self.epochs[n].val_accuracy, -n))

    def ended(self, config: TrainingConfig) -> bool:
        number = len(self.epochs)
        return number >= config.epochs or (number > 0 and number - 1 - self.best >= config.patience)


def _nothing() -> None:
    """Waits for nothing."""


class Team:
    """The processes that train together; this class is a single process. Cluster workers override
    what they share.
    """

    rank = 0
    size = 1

    def start(self, run: Run, data: GraphData) -> None:
        """Called before the first epoch; may resume an earlier run."""

    def average(self, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        """Starts averaging the workers' gradients of a step; the returned call waits for it."""
        return _nothing

    def embedded(self, student: Student, features: Features) -> Tensor | None:
        """h0 of all nodes, for evaluation; None leaves it to the caller to compute."""
        return None

    def measured(self, loss: float, shares: Tensor) -> Epoch:
        """Combines the members' results into an epoch that all agree on.

        Args:
            loss: over this member's seeds
            shares: float64 [2], of train and val: this member's correct nodes as a share of all
        """
        return Epoch(loss, *shares.tolist())

    def keep(self, run: Run) -> None:
        """Called after every epoch."""


ALONE = Team()


def train(
    student: Student,
    data: GraphData,
    terms: Sequence[Term],
    config: TrainingConfig,
    progress: Progress = silent,
    team: Team = ALONE,
) -> Training:
    """Trains until validation accuracy has not risen for `config.patience` epochs.

    The objectives' own parameters are optimised together with the student's. The test split is not
    read. Everything is computed on the device that holds the student and the data.
    On return the student has the weights of the best epoch (the earliest if several tie) and is in
    evaluation mode.

    Raises:
        DivergedError: the loss is not finite.
    """
    run = begin(student, terms, config, team)
    team.start(run, data)
    epoch_batches = batches(run, data, terms, config, team)
    since = time.monotonic() - run.seconds
    # h0 of whole graphs, which an epoch's evaluation shares with the next epoch's step
    shared = not config.batch_size and not student.config.input_dropout
    embedded: Tensor | None = None
    evaluation = evaluation_of(student, data, config, team)
    while not run.ended(config):
        mixed = config.precision == "bfloat16"
        loss = run_epoch(student, next(epoch_batches), terms, run.optimizer, embedded, team, mixed)
        if not math.isfinite(loss):
            number = len(run.epochs) + 1
            raise DivergedError(f"the loss is {loss} in epoch {number}; lower --learning-rate")
        embedded = None  # frees the previous one before the next is made
        embedded = student.embed(data.features) if shared else None
        run.epochs.append(team.measured(loss, evaluation(student, embedded)))
        if run.best == len(run.epochs) - 1:
            run.best_state = copy.deepcopy(student.state_dict())
        run.seconds = time.monotonic() - since
        team.keep(run)
        progress(STAGE, len(run.epochs), config.epochs)
    progress(STAGE, config.epochs, config.epochs)
    student.load_state_dict(run.best_state)
    student.eval()
    return Training(run.epochs, run.best, run.seconds)


def begin(student: Student, terms: Sequence[Term], config: TrainingConfig, team: Team) -> Run:
    """Creates a run before its first epoch."""
    own = nn.ModuleList([term.objective for term in terms])
    optimizer = torch.optim.AdamW(
        [*student.parameters(), *own.parameters()],
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )
    order = np.random.default_rng([config.seed, 4])
    draws = order if team.size == 1 else np.random.default_rng([config.seed, 4, team.rank])
    return Run(student, own, optimizer, order, draws, copy.deepcopy(student.state_dict()))


def batches(
    run: Run, data: GraphData, terms: Sequence[Term], config: TrainingConfig, team: Team
) -> Iterator[Iterable[Batch]]:
    """Yields the batches of each epoch, forever: one whole-graph step, or one step per batch."""
    if not config.batch_size:
        batch = whole_graph(data)
        while True:
            yield [batch]
    train, others = data.train.cpu().numpy(), np.empty(0, dtype=np.int64)
    if any(term.objective.reach == "all" for term in terms):
        others = np.flatnonzero(~train_mask(data).cpu().numpy())
    around = any(term.objective.reads_neighbors for term in terms)
    sampling = sampling_of(run.student, config, int(around))
    while True:
        steps = seed_steps(train, others, config.batch_size, run.order)
        own = (share_of(step, team.rank, team.size) for step in steps)
        yield sampled_batches(data, own, sampling, run.draws)


def sampling_of(student: Student, config: TrainingConfig, around: int = 0) -> Sampling:
    """The sampling around a seed: the neighbours that the student's layers read of it, or of all
    nodes within `around` hops.
    """
    kind = student.config.kind
    hops = 0 if STUDENTS[kind].weighting == "none" else student.config.layers
    return Sampling(hops + around, config.fanout, kind, around)


def share_of(step: NDArray[np.int64], rank: int, size: int) -> NDArray[np.int64]:
    """Every `size`-th seed of a step, so that each worker gets training nodes; never empty."""
    return step[rank % len(step) :: size]


def run_epoch(
    student: Student,
    epoch: Iterable[Batch],
    terms: Sequence[Term],
    optimizer: torch.optim.Optimizer,
    embedded: Tensor | None = None,
    team: Team = ALONE,
    mixed: bool = False,
) -> float:
    """The mean loss over the epoch's seeds; `embedded` is h0, for an epoch of one batch."""
    student.train()
    total, count = 0.0, 0
    batches = iter(epoch)
    batch = next(batches, None)
    while batch is not None:
        optimizer.zero_grad()
        loss = step_loss(student, batch, terms, embedded, mixed)
        loss.backward()
        averaged = team.average(optimizer)
        total += float(loss.item()) * batch.num_seeds
        count += batch.num_seeds
        batch = next(batches, None)  # drawn while the workers' gradients are on their way
        averaged()
        optimizer.step()
    return total / count


def step_loss(
    student: Student,
    batch: Batch,
    terms: Sequence[Term],
    embedded: Tensor | None,
    mixed: bool = False,
) -> Tensor:
    """The scalar loss; keeps only the activations that its gradient needs.

    Args:
        mixed: computes the student's own products in bfloat16; activations between layers, sums
            over neighbours and losses stay float32
    """
    last = any(term.objective.reads_last for term in terms)
    with torch.autocast(batch.nodes.device.type, torch.bfloat16, mixed, cache_enabled=False):
        output = student(batch.features, batch.edges, embedded, last, batch.reach)
    return total_loss(terms, student, output, batch)


class Evaluation:
    """Accuracies on train and val. The last layer is computed for these nodes alone, and each
    member of a team computes its part of them.
    """

    def __init__(self, student: Student, data: GraphData, team: Team = ALONE) -> None:
        self.data, self.student, self.team = data, student, team
        self.parts = [part[team.rank :: team.size] for part in (data.train, data.val)]
        self.nodes = torch.cat(self.parts)

    @cached_property
    def product(self) -> Product | None:
        """The matrix of the last layer's sums, limited to these nodes."""
        count = len(self.data.labels)
        last = cast(MessageLayer, self.student.layers[-1])
        product = last.product(self.data.edges, count, count)
        return None if product is None else product.of(self.nodes.cpu().numpy())

    @torch.no_grad()
    def __call__(self, student: Student, embedded: Tensor | None) -> Tensor:
        """float64 [2]: this part's correct nodes as a share of all of train and of val; leaves the
        student in evaluation mode.
        """
        student.eval()
        data, nodes = self.data, self.nodes
        if embedded is None:  # a collective call: members without nodes to evaluate take part too
            embedded = self.team.embedded(student, data.features)
        if not len(nodes):  # the team is larger than val and train
            return torch.zeros(2, dtype=torch.float64)
        logits = student.of_nodes(data.features, data.edges, nodes, self.product, embedded)
        right = (logits.argmax(1) == data.labels[nodes]).split([len(part) for part in self.parts])
        whole = len(data.train), len(data.val)
        return shares([int(part.sum()) for part in right], whole)


class DrawnEvaluation:
    """Like `Evaluation`, for at most JUDGED nodes of each split, with the same drawn neighbours.

    Used for batches of a graph so large that its other nodes are most of an epoch's work.
    """

    def __init__(
        self, student: Student, data: GraphData, config: TrainingConfig, team: Team = ALONE
    ) -> None:
        self.data, self.config, self.team = data, config, team
        self.sampling = sampling_of(student, config)
        generator = np.random.default_rng([config.seed, 5])
        self.parts = [judged(part.cpu().numpy(), generator) for part in (data.train, data.val)]

    @property
    def reached(self) -> int:
        """Maximum number of nodes that are read."""
        around = sum(int(self.sampling.fanout**hop) for hop in range(self.sampling.hops + 1))
        return around * sum(map(len, self.parts))

    @torch.no_grad()
    def __call__(self, student: Student, embedded: Tensor | None) -> Tensor:
        """See `Evaluation.__call__`."""
        student.eval()
        draws = np.random.default_rng([self.config.seed, 6])
        own = [part[self.team.rank :: self.team.size] for part in self.parts]
        right = [self.right(student, part, draws) for part in own]
        return shares(right, [len(part) for part in self.parts])

    def right(self, student: Student, nodes: NDArray[np.int64], draws: np.random.Generator) -> int:
        """Counts the nodes that are classified according to their labels."""
        right = 0
        steps = parts_of(nodes, self.config.batch_size)
        for batch in sampled_batches(self.data, steps, self.sampling, draws):
            output = student(batch.features, batch.edges, last=False, reach=batch.reach)
            predicted = output.logits[: batch.num_seeds].argmax(1)
            right += int((predicted == batch.labels[: batch.num_seeds]).sum())
        return right


def shares(right: Sequence[int], whole: Sequence[int]) -> Tensor:
    """The shares of correct nodes in train and val, float64 [2]."""
    return torch.tensor(right, dtype=torch.float64) / torch.tensor(whole, dtype=torch.float64)


def judged(nodes: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """The nodes, or a random JUDGED of them."""
    if len(nodes) <= JUDGED:
        return nodes
    drawn: NDArray[np.int64] = np.sort(generator.choice(nodes, JUDGED, replace=False))
    return drawn


def evaluation_of(
    student: Student, data: GraphData, config: TrainingConfig, team: Team = ALONE
) -> Evaluation | DrawnEvaluation:
    """Evaluates with all neighbours, or with drawn ones if those are a small part of the graph."""
    if config.batch_size:
        drawn = DrawnEvaluation(student, data, config, team)
        if drawn.reached * SMALL_PART <= data.adjacency.num_nodes:
            return drawn
    return Evaluation(student, data, team)


@torch.no_grad()
def predict(student: Student, data: GraphData) -> Tensor:
    """Logits of every node, [N, classes]; leaves the student in evaluation mode."""
    student.eval()
    output: StudentOutput = student(data.features, data.edges, last=False)
    return output.logits
