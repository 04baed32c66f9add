"""A run resumes from its checkpoint, whether its last epoch was the best or not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tests.unit.training.samples import CLASSES, WIDTH, small_data
from training.cluster.checkpoints import (
    BEST,
    read_best,
    read_generators,
    read_run,
    write_generators,
    write_run,
)
from training.config import Epoch, StudentConfig, TrainingConfig
from training.data import whole_graph
from training.loop import ALONE, Run, begin, run_epoch
from training.losses.objectives import CrossEntropy, Term
from training.student.network import Student

CONFIG = TrainingConfig()
TERMS = [Term("labels", 1.0, CrossEntropy())]


def begun(seed: int) -> Run:
    torch.manual_seed(seed)
    return begin(Student(StudentConfig(hidden=16), WIDTH, CLASSES, False), TERMS, CONFIG, ALONE)


def after_two_epochs(last: float) -> Run:
    """One whose last epoch has this validation accuracy, and the one before it 0.5."""
    run, data = begun(0), small_data(teacher=False)
    for accuracy in (0.5, last):
        loss = run_epoch(run.student, [whole_graph(data)], TERMS, run.optimizer)
        run.epochs.append(Epoch(loss, 0.5, accuracy))
        if run.best == len(run.epochs) - 1:
            run.best_state = {k: v.clone() for k, v in run.student.state_dict().items()}
    return run


@pytest.mark.parametrize("last", [0.6, 0.4])
def test_what_is_kept_is_what_is_read(tmp_path: Path, last: float) -> None:
    run, other = after_two_epochs(last), begun(1)
    write_run(tmp_path, run)
    read_run(tmp_path, other)
    assert other.epochs == run.epochs
    torch.testing.assert_close(other.student.state_dict(), run.student.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(other.best_state, run.best_state, rtol=0, atol=0)
    torch.testing.assert_close(read_best(tmp_path), run.best_state, rtol=0, atol=0)
    kept, found = (own.optimizer.state_dict()["state"] for own in (run, other))
    torch.testing.assert_close(found, kept, rtol=0, atol=0)


@pytest.mark.parametrize("last", [0.6, 0.4])
def test_the_best_weights_are_kept_once(tmp_path: Path, last: float) -> None:
    write_run(tmp_path, after_two_epochs(last))
    with safe_open(tmp_path / "run.safetensors", "pt") as kept:
        apart = [name for name in kept.keys() if name.startswith(BEST)]  # noqa: SIM118
    assert bool(apart) == (last < 0.5)


def drawn(run: Run) -> list[float]:
    """The next number of each of a worker's generators: of seeds, of neighbours, of dropout."""
    return [run.order.random(), run.draws.random(), float(torch.rand(()))]


def test_each_worker_draws_what_it_would_have_drawn(tmp_path: Path) -> None:
    expected = []
    for rank in range(2):
        run = begun(rank)
        run.draws = np.random.default_rng([7, rank])
        drawn(run)
        write_generators(tmp_path, run, rank)
        expected.append(drawn(run))
    for rank in range(2):
        other = begun(9)
        other.draws = np.random.default_rng(9)
        read_generators(tmp_path, other, rank)
        assert drawn(other) == expected[rank]
    assert expected[0] != expected[1]
