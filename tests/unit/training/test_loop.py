"""Optimisations of the training loop do not change its results."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.training.samples import CLASSES, WIDTH, small_data
from training.config import STUDENT_KINDS, StudentConfig, StudentKind, Training, TrainingConfig
from training.loop import (
    DrawnEvaluation,
    Evaluation,
    Team,
    batches,
    begin,
    evaluation_of,
    judged,
    share_of,
    step_loss,
    train,
)
from training.losses.objectives import CrossEntropy, Term
from training.student.by_rows import dropout
from training.student.network import Student

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


@pytest.mark.parametrize("patience", [1, 4])
def test_training_ends_where_validation_was_best_long_enough_ago(patience: int) -> None:
    torch.manual_seed(0)
    student = Student(SMALL, WIDTH, CLASSES, hashed=False)
    terms = [Term("labels", 1.0, CrossEntropy())]
    config = TrainingConfig(epochs=200, patience=patience)
    epochs = train(student, small_data(teacher=False), terms, config).epochs
    accuracies = [epoch.val_accuracy for epoch in epochs]
    assert len(epochs) < 200
    assert accuracies.index(max(accuracies)) == len(epochs) - 1 - patience


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


def test_the_shares_of_a_step_make_the_step() -> None:
    """Where nothing is drawn, the mean of two workers' gradients is the gradient of one."""
    data, terms = small_data(teacher=False), [Term("labels", 1.0, CrossEntropy())]
    config = TrainingConfig(batch_size=len(data.train), fanout=1_000)
    found = []
    for size in (1, 2):
        torch.manual_seed(0)
        student = Student(SMALL, WIDTH, CLASSES, hashed=False)
        for rank in range(size):
            team = Team()
            team.rank, team.size = rank, size
            run = begin(student, terms, config, team)
            for batch in next(batches(run, data, terms, config, team)):
                (step_loss(student, batch, terms, None) / size).backward()
        found.append([weight.grad for weight in student.parameters() if weight.grad is not None])
    assert found[0]
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("length", [1, 2, 7])
def test_a_step_is_shared_out_whole_and_nobody_is_without(length: int) -> None:
    step = np.arange(length)
    shares = [share_of(step, rank, 3).tolist() for rank in range(3)]
    assert all(shares)
    assert {node for share in shares for node in share} == set(step.tolist())
    if length >= 3:
        assert sum(map(len, shares)) == length


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_an_epoch_of_batches_is_judged_as_on_the_whole_graph_where_all_neighbors_are_drawn(
    kind: StudentKind,
) -> None:
    torch.manual_seed(0)
    student = Student(replace(SMALL, kind=kind), WIDTH, CLASSES, hashed=False)
    data = small_data(teacher=False)
    drawn = DrawnEvaluation(student, data, TrainingConfig(batch_size=7, fanout=1_000))
    torch.testing.assert_close(drawn(student, None), Evaluation(student, data)(student, None))


@pytest.mark.parametrize("kind", STUDENT_KINDS)
@pytest.mark.parametrize("size", [3, 1_000])  # of a team: some have nothing to judge
def test_a_team_judges_an_epoch_together_as_one_does_alone(kind: StudentKind, size: int) -> None:
    torch.manual_seed(0)
    student = Student(replace(SMALL, kind=kind), WIDTH, CLASSES, hashed=False)
    data = small_data(teacher=False)
    config = TrainingConfig(batch_size=7, fanout=1_000)
    teams = [Team() for _ in range(size)]
    for rank, team in enumerate(teams):
        team.rank, team.size = rank, size
    alone = Evaluation(student, data)(student, None)
    for found in (
        [Evaluation(student, data, team)(student, None) for team in teams],
        [DrawnEvaluation(student, data, config, team)(student, None) for team in teams],
    ):
        assert all((part < alone).all() for part in found)
        torch.testing.assert_close(torch.stack(found).sum(0), alone)


def test_every_epoch_of_batches_is_judged_by_the_same_neighbors() -> None:
    torch.manual_seed(0)
    student = Student(SMALL, WIDTH, CLASSES, hashed=False)
    data = small_data(teacher=False)
    drawn = DrawnEvaluation(student, data, TrainingConfig(batch_size=16, fanout=1))
    assert drawn(student, None).equal(drawn(student, None))
    other = DrawnEvaluation(student, data, TrainingConfig(batch_size=16, fanout=1, seed=1))
    assert drawn.reached == other.reached <= 4 * (len(data.train) + len(data.val))


def test_all_neighbors_are_read_unless_drawn_ones_are_far_fewer() -> None:
    student = Student(replace(SMALL, layers=1), WIDTH, CLASSES, hashed=False)
    data = small_data(teacher=False)
    few = replace(data, train=data.train[:3], val=data.val[:3])
    config = TrainingConfig(batch_size=16, fanout=1)
    assert isinstance(evaluation_of(student, few, config), DrawnEvaluation)
    assert isinstance(evaluation_of(student, data, config), Evaluation)
    assert isinstance(evaluation_of(student, few, TrainingConfig()), Evaluation)


def test_of_many_nodes_some_judge() -> None:
    nodes = np.arange(0, 30_000, 2)
    some = judged(nodes, np.random.default_rng(0))
    assert len(set(some.tolist()) & set(nodes.tolist())) == len(some) == 8_192
