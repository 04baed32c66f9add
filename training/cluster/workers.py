"""One student trained by several workers, each on its share of every step's seeds."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import ray.train
import torch
from ray.util.queue import Queue
from torch import distributed

from training.cluster.checkpoints import read_generators, read_run, write_generators, write_run
from training.config import Epoch
from training.loop import Run, Team

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
        """One sum over all workers; a weight without a gradient at any stays without one.

        It goes through the processors' memory: students are small, and a step of one is not.
        """
        if self.size == 1:
            return
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        found = torch.tensor([float(weight.grad is not None) for weight in weights])
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        summed = torch.cat([found, *(gradient.flatten().cpu() for gradient in gradients)])
        distributed.all_reduce(summed)
        found, mean = summed[: len(weights)], summed[len(weights) :] / self.size
        parts = mean.split([weight.numel() for weight in weights])
        for weight, part, given in zip(weights, parts, found.tolist(), strict=True):
            weight.grad = part.view_as(weight).to(weight.device) if given else None

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
