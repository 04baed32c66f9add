"""Instruction tuning of a teacher, with one loop for encoders and causal models.

An encoder's head is new, and its first gradients would distort the transformer, so it is fitted to
the untuned features first (linear probing, then fine-tuning: arXiv 2202.10054). The final weights
are never worse on validation than those that tuning started from.

Each epoch asks about every training node once, at a random hop, with neighbours' labels dropped at
random; batches are drawn from the seed and the epoch alone. A checkpoint holds the weights, the
optimiser and torch's generator, so that a killed run ends with the same result.
"""

import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.config import LARGEST_SEED, check_amount, check_whole
from training.errors import DivergedError
from training.optimizers import optimizer_tensors, restore_optimizer
from training.teacher.extract import answer_part
from training.teacher.protocol import TunableTeacher
from understudy.graph.files import atomic_file
from understudy.graph.prompts import Prompt, Prompter
from understudy.progress import Progress, silent, step

STAGE = "Tuning the teacher"
WINDOW = 16  # number of batches within which prompts are sorted by length
PROGRESS = "place"  # key in a checkpoint; unchanged so that older checkpoints stay valid

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TuningOptions:
    epochs: int = 3  # maximum passes over the training nodes; 0 asks the untuned model
    batch_size: int = 16  # prompts per step
    accumulate: int = 1  # number of parts in which a step reads its prompts, to save memory
    learning_rate: float = 5e-5  # of AdamW, at its peak
    weight_decay: float = 0.01  # of AdamW
    warmup: float = 0.06  # share of the steps
    label_dropout: float = 0.5  # probability that a shown label is hidden
    max_train_nodes: int = 0  # drawn at random; 0 takes all
    validation_nodes: int = 400  # maximum number asked after each epoch
    patience: int = 1  # epochs without a better validation accuracy
    clip: float = 1.0  # largest norm of a step's gradient
    checkpoint_steps: int = 50  # between two checkpoints
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "weight_decay"):
            check_amount(name, getattr(self, name))
        for name in ("epochs", "max_train_nodes"):
            check_whole(name, getattr(self, name), 0)
        for name in ("batch_size", "accumulate"):
            check_whole(name, getattr(self, name), 1)
        check_whole("seed", self.seed, 0, LARGEST_SEED)


@dataclass(frozen=True, slots=True)
class Examples:
    """The data for tuning.

    Shapes:
        train, validation: int64 node indices, all labelled
        labels: int64 [N]
    """

    prompter: Prompter
    hops: tuple[int, ...]
    labels: NDArray[np.int64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]


@dataclass(slots=True)
class TuningProgress:
    """The progress of tuning; stored in every checkpoint."""

    epoch: int = 0
    step: int = 0  # within the epoch
    start: float | None = None  # validation accuracy before any step
    accuracies: list[float] = field(default_factory=list)  # of validation, per epoch
    losses: list[float] = field(default_factory=list)  # mean per epoch
    loss_sum: float = 0.0  # of this epoch's steps so far
    seconds: float = 0.0


def tune(
    teacher: TunableTeacher,
    examples: Examples,
    options: TuningOptions,
    path: Path,
    tokens_per_batch: int,
    progress: Progress = silent,
) -> TuningProgress:
    """Tunes until validation accuracy has not risen for `patience` epochs; keeps the best epoch.

    Args:
        path: of the checkpoint; if it exists, tuning resumes from it.

    Raises:
        DivergedError: the loss is not finite.
    """
    run = TuningRun(teacher, examples, options, path, tokens_per_batch)
    run.restore()
    if run.progress.start is None:
        with step(progress, "Asking the teacher before tuning"):
            run.progress.start = run.validate()
        log.info("tuning: validation accuracy %.4f at the start", run.progress.start)
    steps = run.steps_per_epoch * options.epochs
    while not run.finished:
        batches = run.epoch_batches()
        while run.progress.step < len(batches):
            run.step(*batches[run.progress.step], total=steps)
            progress(STAGE, run.progress.epoch * len(batches) + run.progress.step, steps)
            if run.progress.step % options.checkpoint_steps == 0:
                run.save()
        run.finish_epoch()
        run.save()
    progress(STAGE, steps, steps)
    run.take_best()
    return run.progress


def tuning_nodes(
    examples: Examples, options: TuningOptions
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The training nodes, sorted, and the validation nodes that the options select."""
    generator = np.random.default_rng([options.seed, 1])
    count = options.max_train_nodes or len(examples.train)
    train = np.sort(generator.permutation(examples.train)[:count])
    return train, generator.permutation(examples.validation)[: options.validation_nodes]


class TuningRun:
    """The state of one tuning."""

    def __init__(
        self,
        teacher: TunableTeacher,
        examples: Examples,
        options: TuningOptions,
        path: Path,
        tokens_per_batch: int,
    ) -> None:
        self.teacher, self.examples, self.options, self.path = teacher, examples, options, path
        self.tokens_per_batch = tokens_per_batch
        self.progress = TuningProgress()
        self.weights = tuned_weights(teacher)
        self.best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.masters = {name: master(weight) for name, weight in self.weights.items()}
        self.optimizer = torch.optim.AdamW(
            list(self.masters.values()), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.train, self.validation = tuning_nodes(examples, options)
        self.steps_per_epoch = math.ceil(len(self.train) / options.batch_size)
        self.since = time.monotonic()
        torch.manual_seed(options.seed)

    @property
    def finished(self) -> bool:
        accuracies = self.progress.accuracies
        best = int(np.argmax(accuracies)) if accuracies else 0
        waited = len(accuracies) - 1 - best
        return self.progress.epoch >= self.options.epochs or waited >= self.options.patience

    def epoch_batches(self) -> list[tuple[list[Prompt], Tensor]]:
        """The epoch's batches, of similar length within; a pure function of seed and epoch."""
        generator = np.random.default_rng([self.options.seed, 2, self.progress.epoch])
        nodes = generator.permutation(self.train)
        hops = generator.choice(self.examples.hops, len(nodes))
        hidden = generator.random(len(self.examples.labels)) < self.options.label_dropout
        prompter = self.examples.prompter.hiding(hidden)
        prompts = [
            prompter.stored(node, hop)
            for node, hop in zip(nodes.tolist(), hops.tolist(), strict=True)
        ]
        order: list[int] = []
        span = self.options.batch_size * WINDOW
        for start in range(0, len(nodes), span):
            window = range(start, min(start + span, len(nodes)))
            order += sorted(window, key=lambda index: len(prompts[index].text))
        size = self.options.batch_size
        chunks = [order[start : start + size] for start in range(0, len(order), size)]
        labels = self.examples.labels[nodes]
        return [
            ([prompts[i] for i in chunks[c]], torch.from_numpy(labels[chunks[c]]))
            for c in generator.permutation(len(chunks)).tolist()
        ]

    def step(self, prompts: Sequence[Prompt], labels: Tensor, total: int) -> None:
        done = self.progress.epoch * self.steps_per_epoch + self.progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * self.schedule(done, total)
        self.teacher.module.train()
        self.teacher.module.zero_grad()
        value = self.backward(prompts, labels)
        for name, weight in self.weights.items():
            if weight.grad is not None:
                self.masters[name].grad = weight.grad.to(torch.float32)
        torch.nn.utils.clip_grad_norm_(self.masters.values(), self.options.clip)
        self.optimizer.step()
        self.follow_masters()
        if not math.isfinite(value):
            raise DivergedError(f"the teacher's loss is {value}; lower --learning-rate")
        self.progress.loss_sum += value
        self.progress.step += 1

    def backward(self, prompts: Sequence[Prompt], labels: Tensor) -> float:
        """Accumulates the gradients of the step's parts; returns the mean loss of its prompts."""
        size = math.ceil(len(prompts) / self.options.accumulate)
        total = 0.0
        for start in range(0, len(prompts), size):
            part = slice(start, start + size)
            share = len(prompts[part]) / len(prompts)
            loss = self.teacher.loss(prompts[part], labels[part]) * share
            loss.backward()
            total += float(loss.item())
        return total

    @torch.no_grad()
    def follow_masters(self) -> None:
        for name, weight in self.weights.items():
            if self.masters[name] is not weight:
                weight.copy_(self.masters[name])

    def schedule(self, done: int, total: int) -> float:
        """Linear warm-up, then linear decay to 0; a share of the peak learning rate."""
        warmup = max(1, round(self.options.warmup * total))
        return min((done + 1) / warmup, (total - done) / max(total - warmup, 1))

    def finish_epoch(self) -> None:
        accuracy = self.validate()
        self.progress.losses.append(self.progress.loss_sum / max(self.progress.step, 1))
        earlier = max(self.progress.accuracies, default=-1.0)
        if accuracy >= (self.progress.start or 0.0) and accuracy > earlier:
            self.best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.progress.accuracies.append(accuracy)
        log.info("tuning: epoch %d, validation accuracy %.4f", self.progress.epoch + 1, accuracy)
        self.progress.epoch += 1
        self.progress.step, self.progress.loss_sum = 0, 0.0

    def validate(self) -> float:
        """Accuracy on validation nodes, each at one hop; 0 if there are none."""
        if not len(self.validation):
            return 0.0
        hops = self.examples.hops
        prompts = [
            self.examples.prompter.stored(node, hops[position % len(hops)])
            for position, node in enumerate(self.validation.tolist())
        ]
        self.teacher.module.eval()
        answers = answer_part(self.teacher, prompts, self.tokens_per_batch)
        right = answers.log_probabilities.argmax(1) == self.examples.labels[self.validation]
        return float(right.mean())

    def save(self) -> None:
        now = time.monotonic()
        self.progress.seconds += now - self.since
        self.since = now
        tensors = {f"now.{name}": weight.detach() for name, weight in self.masters.items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
        tensors |= optimizer_tensors(self.optimizer)
        tensors["generator"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["generator_cuda"] = torch.cuda.get_rng_state()
        fields = ("epoch", "step", "start", "accuracies", "losses", "loss_sum", "seconds")
        progress = json.dumps({name: getattr(self.progress, name) for name in fields})
        with atomic_file(self.path) as temporary:
            contiguous = {k: v.contiguous() for k, v in tensors.items()}
            save_file(contiguous, temporary, metadata={PROGRESS: progress})

    def restore(self) -> None:
        """Restores the checkpoint, if there is a complete one."""
        if not self.path.is_file():
            return
        try:
            with safe_open(self.path, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                self.progress = TuningProgress(**json.loads(stored.metadata()[PROGRESS]))
        except SafetensorError as error:  # truncated, for example by a power failure
            log.warning("%s is damaged (%s); tuning starts over", self.path, error)
            return
        with torch.no_grad():
            for name, weight in self.weights.items():
                self.masters[name].copy_(tensors[f"now.{name}"])
                self.best[name] = tensors[f"best.{name}"].to(weight.device)
        self.follow_masters()
        restore_optimizer(self.optimizer, tensors)
        torch.set_rng_state(tensors["generator"])
        if "generator_cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["generator_cuda"])
        log.info("tuning resumes in epoch %d, step %d", self.progress.epoch + 1, self.progress.step)

    def take_best(self) -> None:
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(self.best[name])
        self.teacher.module.eval()


def master(weight: torch.nn.Parameter) -> torch.nn.Parameter:
    """The parameter that the optimiser changes: a float32 copy if rounding would lose steps."""
    if weight.dtype == torch.float32:
        return weight
    return torch.nn.Parameter(weight.detach().to(torch.float32))


def tuned_weights(teacher: TunableTeacher) -> dict[str, torch.nn.Parameter]:
    return {n: w for n, w in teacher.module.named_parameters() if w.requires_grad}
