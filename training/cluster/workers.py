"""One student trained by several workers, each on its share of every step's seeds."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import ray.train
import torch
from ray.util.queue import Queue
from torch import Tensor, distributed

from training.cluster.checkpoints import read_generators, read_run, write_generators, write_run
from training.config import Epoch
from training.encoders.features import Features
from training.loop import Run, Team
from training.student.network import Student

APART = 1_000_003  # between the seeds of two workers' dropout


class Workers(Team):
    """The workers of a run of Ray Train, as one of them sees them.

    Gradients are averaged by hand, not by DistributedDataParallel: that one sees what goes through
    `forward`, and objectives call a student's layers beside it and have weights of their own.
    """

    def __init__(self, told: Queue) -> None:
        context = ray.train.get_context()
        self.rank, self.size = context.get_world_rank(), context.get_world_size()
        self.told = told

    def start(self, run: Run) -> None:
        """Goes on from the last epoch that was kept; else all begin with the first one's weights,
        and each with a dropout of its own."""
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

    def average(self, optimizer: torch.optim.Optimizer) -> None:
        """One mean over all workers; a weight without a gradient at any stays without one.

        Rows that no worker has a gradient for stay at home: a step meets a part of the words, and
        their table is most of a student. What is exchanged goes through the processors' memory.
        """
        if self.size == 1:
            return
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        found = torch.tensor([weight.grad is not None for weight in weights])
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        tables = [gradient.view(len(gradient), -1) for gradient in map(torch.atleast_1d, gradients)]
        met = torch.cat([found, *(table.any(1).cpu() for table in tables)]).to(torch.uint8)
        distributed.all_reduce(met, distributed.ReduceOp.MAX)
        anywhere, *own = met.bool().split([len(weights), *map(len, tables)])
        rows = [
            which.nonzero()[:, 0].to(table.device) for which, table in zip(own, tables, strict=True)
        ]
        taken = [table[which] for table, which in zip(tables, rows, strict=True)]
        summed = torch.cat([part.flatten().cpu() for part in taken])
        distributed.all_reduce(summed)
        means = summed.div_(self.size).split([part.numel() for part in taken])
        for table, which, part, mean in zip(tables, rows, taken, means, strict=True):
            table[which] = mean.view_as(part).to(table.device)
        for weight, gradient, given in zip(weights, gradients, anywhere.tolist(), strict=True):
            weight.grad = gradient if given else None

    @torch.no_grad()
    def embedded(self, student: Student, features: Features) -> Tensor | None:
        """Each worker embeds a run of the nodes, and all get all."""
        if self.size == 1:
            return None
        student.eval()
        run = slice(*(len(features) * rank // self.size for rank in (self.rank, self.rank + 1)))
        h = torch.zeros(len(features), student.config.hidden)
        h[run] = student.embed_in_steps(features, run).cpu()
        distributed.all_reduce(h)
        return h.to(student.head.weight.device)

    def measured(self, run: Run, loss: float, evaluate: Callable[[], tuple[float, float]]) -> Epoch:
        """The first worker evaluates; what it finds, and the mean loss, all have alike."""
        found = torch.zeros(3, dtype=torch.float64)
        found[0] = loss / self.size
        if not self.rank:
            found[1:] = torch.tensor(evaluate(), dtype=torch.float64)
        if self.size > 1:
            distributed.all_reduce(found)
        return Epoch(*found.tolist())

    def keep(self, run: Run) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_generators(Path(folder), run, self.rank)
            if not self.rank:
                write_run(Path(folder), run)
            checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report({"epochs": len(run.epochs)}, checkpoint)
        if not self.rank:
            self.told.put(len(run.epochs))
