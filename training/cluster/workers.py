"""Trains one student with several workers, each on its share of every step's seeds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ray.train
import torch
from ray.train import CheckpointUploadMode
from torch import Tensor, distributed, nn

from training.cluster.checkpoints import (
    read_generators,
    read_run,
    tell_epochs,
    write_generators,
    write_run,
)
from training.config import Epoch
from training.data import GraphData
from training.encoders.features import Features, HashedFeatures
from training.loop import Run, Team
from training.student.network import HashedInput, Student

APART = 1_000_003  # between the dropout seeds of two workers


class Workers(Team):
    """The workers of a Ray Train run, from the view of one of them.

    Gradients are averaged here instead of by DistributedDataParallel, which only sees what goes
    through `forward`: objectives call a student's layers directly and have parameters of their own.
    """

    def __init__(self, folder: Path) -> None:
        """Reads the rank of this worker from Ray.

        Args:
            folder: of the run, where the first worker writes the number of finished epochs
        """
        context = ray.train.get_context()
        self.rank, self.size = context.get_world_rank(), context.get_world_size()
        self.folder = folder
        self.exchanges = ThreadPoolExecutor(1)
        # Of the embedding table, which is most of a student, only rows that occur are exchanged.
        self.shared: dict[nn.Parameter, Tensor] = {}
        self.room = torch.empty(0)  # buffer that every step's exchange reuses

    def start(self, run: Run, data: GraphData) -> None:
        """Resumes from the last kept epoch; otherwise all start from the first worker's weights,
        each with its own dropout seed.
        """
        if isinstance(run.student.input, HashedInput) and isinstance(data.features, HashedFeatures):
            table = run.student.input.table
            self.shared[table] = data.features.met.to(table.device)
        kept = ray.train.get_checkpoint()
        if kept is not None:
            with kept.as_directory() as folder:
                read_run(Path(folder), run)
                read_generators(Path(folder), run, self.rank)
            return
        for tensor in (*run.student.state_dict().values(), *run.own.state_dict().values()):
            first = tensor.cpu()
            distributed.broadcast(first, 0)
            tensor.copy_(first)
        torch.manual_seed(torch.initial_seed() + APART * self.rank)

    def average(self, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        """Averages over all workers on another thread, so that a faster worker draws its next batch
        instead of waiting for the others.
        """
        if self.size == 1:
            return super().average(optimizer)
        return self.exchanges.submit(self.exchange, optimizer).result

    def exchange(self, optimizer: torch.optim.Optimizer) -> None:
        """Averages the gradients; a weight without a gradient at any worker stays without one.

        Everything exchanged passes through CPU memory.
        """
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        found = torch.tensor([float(weight.grad is not None) for weight in weights])
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        rows = [self.shared.get(weight) for weight in weights]
        sizes = [numbers_of(*pair) for pair in zip(gradients, rows, strict=True)]
        if len(self.room) != len(found) + sum(sizes):
            self.room = torch.empty(len(found) + sum(sizes))
        anywhere, *parts = self.room.split([len(found), *sizes])
        anywhere.copy_(found)
        for gradient, own, part in zip(gradients, rows, parts, strict=True):
            gather(gradient, own, part)
        distributed.all_reduce(self.room)
        for gradient, own, part in zip(gradients, rows, parts, strict=True):
            scatter(part.div_(self.size), gradient, own)
        for weight, gradient, has_one in zip(weights, gradients, anywhere.tolist(), strict=True):
            weight.grad = gradient if has_one else None

    @torch.no_grad()
    def embedded(self, student: Student, features: Features) -> Tensor | None:
        """Each worker embeds a slice of the nodes; all receive the whole."""
        if self.size == 1:
            return None
        student.eval()
        first = [len(features) * rank // self.size for rank in range(self.size + 1)]
        runs = list(map(slice, first, first[1:]))
        h = torch.empty(len(features), student.config.hidden)
        h[runs[self.rank]] = student.embed_in_steps(features, runs[self.rank]).cpu()
        for rank, run in enumerate(runs):
            distributed.broadcast(h[run], rank)
        return h.to(student.head.weight.device)

    def measured(self, loss: float, shares: Tensor) -> Epoch:
        """Combines the parts' accuracies and averages the loss; the result is the same for all."""
        found = torch.tensor([loss / self.size, *shares.tolist()], dtype=torch.float64)
        if self.size > 1:
            distributed.all_reduce(found)
        return Epoch(*found.tolist())

    def keep(self, run: Run) -> None:
        """Writes to Ray's checkpoint storage, which all workers see, so that Ray copies nothing."""
        storage = ray.train.get_context().get_storage()
        folder = Path(storage.experiment_fs_path) / f"epoch-{len(run.epochs):06d}"
        folder.mkdir(parents=True, exist_ok=True)
        write_generators(folder, run, self.rank)
        if not self.rank:
            write_run(folder, run)
        ray.train.report(
            {"epochs": len(run.epochs)},
            ray.train.Checkpoint.from_directory(folder),
            checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD,
        )
        if not self.rank:
            tell_epochs(self.folder, len(run.epochs))


def numbers_of(table: Tensor, rows: Tensor | None) -> int:
    """Number of values in some rows of a table, or in all of it."""
    return table.numel() if rows is None else len(rows) * table[0].numel()


def gather(table: Tensor, rows: Tensor | None, out: Tensor) -> None:
    """Copies some rows of a table, or all of it, into CPU memory."""
    if rows is None:
        out.copy_(table.flatten())
    elif table.device.type == "cpu":  # without an intermediate copy, which would take longer
        torch.index_select(table, 0, rows, out=out.view(len(rows), -1))
    else:
        out.copy_(table[rows].flatten())


def scatter(numbers: Tensor, table: Tensor, rows: Tensor | None) -> None:
    """Copies the values from `gather` back."""
    numbers = numbers.to(table.device)
    if rows is None:
        table.copy_(numbers.view_as(table))
    else:
        table.index_copy_(0, rows, numbers.view(len(rows), -1))
