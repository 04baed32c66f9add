"""One student trained by several workers, each on its share of every step's seeds."""

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

APART = 1_000_003  # between the seeds of two workers' dropout


class Workers(Team):
    """The workers of a run of Ray Train, as one of them sees them.

    Gradients are averaged by hand, not by DistributedDataParallel: that one sees what goes through
    `forward`, and objectives call a student's layers beside it and have weights of their own.
    """

    def __init__(self, folder: Path) -> None:
        """Reads from Ray which worker this is.

        Args:
            folder: of the run, where the first worker writes how many epochs are done
        """
        context = ray.train.get_context()
        self.rank, self.size = context.get_world_rank(), context.get_world_size()
        self.folder = folder
        self.exchanges = ThreadPoolExecutor(1)
        # Of the table of words, which is most of a student, rows that no text has stay at home.
        self.shared: dict[nn.Parameter, Tensor] = {}
        self.room = torch.empty(0)  # that every step's exchange takes again

    def start(self, run: Run, data: GraphData) -> None:
        """Goes on from the last epoch that was kept; else all begin with the first one's weights,
        and each with a dropout of its own."""
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
        """One mean over all workers, made on a thread of its own: a worker that was faster draws
        its next batch in place of waiting for the others."""
        if self.size == 1:
            return super().average(optimizer)
        return self.exchanges.submit(self.exchange, optimizer).result

    def exchange(self, optimizer: torch.optim.Optimizer) -> None:
        """Makes the mean; a weight without a gradient at any worker stays without one.

        What is exchanged goes through the processors' memory.
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
        for weight, gradient, given in zip(weights, gradients, anywhere.tolist(), strict=True):
            weight.grad = gradient if given else None

    @torch.no_grad()
    def embedded(self, student: Student, features: Features) -> Tensor | None:
        """Each worker embeds a run of the nodes, and all get all."""
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
        """What the parts have right together, and the mean loss, are alike for all."""
        found = torch.tensor([loss / self.size, *shares.tolist()], dtype=torch.float64)
        if self.size > 1:
            distributed.all_reduce(found)
        return Epoch(*found.tolist())

    def keep(self, run: Run) -> None:
        """Writes to where Ray keeps checkpoints, which all workers see, so that it copies none."""
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
    """How many numbers some rows of a table have, or all of it."""
    return table.numel() if rows is None else len(rows) * table[0].numel()


def gather(table: Tensor, rows: Tensor | None, out: Tensor) -> None:
    """Copies some rows of a table, or all of it, into memory of the processor."""
    if rows is None:
        out.copy_(table.flatten())
    elif table.device.type == "cpu":  # without a copy between, which takes longer than the rows
        torch.index_select(table, 0, rows, out=out.view(len(rows), -1))
    else:
        out.copy_(table[rows].flatten())


def scatter(numbers: Tensor, table: Tensor, rows: Tensor | None) -> None:
    """Copies what `gather` gathered back."""
    numbers = numbers.to(table.device)
    if rows is None:
        table.copy_(numbers.view_as(table))
    else:
        table.index_copy_(0, rows, numbers.view(len(rows), -1))
