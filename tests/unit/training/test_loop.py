"""Training is as fast as it is without being another training."""

from dataclasses import replace

import pytest
import torch

from tests.unit.training.samples import CLASSES, WIDTH, small_data
from training.config import STUDENT_KINDS, StudentConfig, StudentKind, Training, TrainingConfig
from training.loop import train
from training.losses.objectives import CrossEntropy, Term
from training.student.network import Student, dropout

SMALL = StudentConfig(hidden=16, dropout=0.0)


def trained(config: StudentConfig) -> tuple[Student, Training]:
    torch.manual_seed(0)
    student = Student(config, WIDTH, CLASSES, hashed=False)
    data = small_data(teacher=False)
    terms = [Term("labels", 1.0, CrossEntropy())]
    return student, train(student, data, terms, TrainingConfig(epochs=6))


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_sharing_the_first_layer_between_evaluation_and_step_changes_nothing(
    kind: StudentKind,
) -> None:
    config = replace(SMALL, kind=kind)
    shared, training = trained(config)
    # a dropout of next to nothing drops nothing here, yet forbids the sharing
    apart, expected = trained(replace(config, input_dropout=1e-12))
    assert training.epochs == expected.epochs
    for name, weight in shared.state_dict().items():
        assert torch.equal(weight, apart.state_dict()[name]), name


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_the_gradient_of_what_it_keeps(probability: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(400, 250, requires_grad=True)
    dropped = dropout(x, probability, training=True)
    dropped.sum().backward()
    share = float((dropped == 0).double().mean())
    assert share == pytest.approx(probability, abs=0.005)
    assert torch.allclose(dropped[dropped != 0], torch.tensor(1 / (1 - probability)))
    assert x.grad is not None
    assert torch.equal(x.grad, dropped)


def test_dropout_leaves_evaluation_alone() -> None:
    x = torch.randn(5, 3)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x
