"""Blocks of rows give the results and the gradients of all rows at once."""

from collections.abc import Iterator
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GCNConv, GINConv, SAGEConv

from tests.unit.training.samples import CLASSES, NODES, WIDTH, small_data
from training.config import STUDENT_KINDS, StudentConfig, StudentKind
from training.data import Edges, GraphData
from training.loop import Evaluation, predict
from training.student import by_rows as module
from training.student.by_rows import by_rows
from training.student.network import MessageLayer, Student

BY_ROWS: tuple[StudentKind, ...] = ("sage", "gcn", "gin", "mlp")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 16)  # so that the small graph has several


@pytest.fixture(scope="module")
def data() -> GraphData:
    return small_data(teacher=False)


def student_of(kind: StudentKind, dropout: float = 0.0) -> Student:
    torch.manual_seed(0)
    config = StudentConfig(kind=kind, hidden=16, dropout=dropout)
    return Student(config, WIDTH, CLASSES, hashed=False)


def by_torch_geometric(student: Student, data: GraphData, masks: Iterator[Tensor]) -> Tensor:
    """The student's logits as autograd and PyG's own layers make them."""
    h = F.relu(student.input_norm(student.input.mapped(data.features)))  # type: ignore[arg-type]
    for layer in student.layers:
        own, h = cast(MessageLayer, layer), h * next(masks)
        h = own.finish(h, convolved(own.conv, h, data.edges))
    return cast(Tensor, student.head(h * next(masks)))


def convolved(conv: nn.Module, h: Tensor, edges: Edges) -> Tensor:
    if isinstance(conv, SAGEConv | GINConv):
        return cast(Tensor, conv(h, edges.adjacency))
    return cast(Tensor, conv(h, edges.normalized) if isinstance(conv, GCNConv) else conv(h))


def mask_of_ones(probability: float) -> Tensor:
    """What dropout makes of ones, with the choices that the next dropout of a student takes."""
    ones = torch.ones(NODES, 16)
    return by_rows(lambda rows, _: rows.clone(), nn.Identity(), ones, None, probability)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("kind", BY_ROWS)
def test_logits_and_gradients_are_those_of_torch_geometrics_layers(
    kind: StudentKind, dropout: float, data: GraphData
) -> None:
    student = student_of(kind, dropout)
    torch.manual_seed(5)
    masks = [mask_of_ones(dropout) for _ in range(3)]
    expected = by_torch_geometric(student, data, iter(masks))
    weighting = torch.randn(NODES, CLASSES, generator=torch.Generator().manual_seed(1))
    wanted = torch.autograd.grad((expected * weighting).sum(), list(student.parameters()))
    torch.manual_seed(5)
    output = student(data.features, data.edges)
    found = torch.autograd.grad((output.logits * weighting).sum(), list(student.parameters()))
    torch.testing.assert_close(output.logits, expected, atol=1e-5, rtol=1e-4)
    for (name, _), mine, theirs in zip(student.named_parameters(), found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_leaving_out_the_last_activations_changes_nothing(
    kind: StudentKind, data: GraphData
) -> None:
    student = student_of(kind)
    gradients = []
    for last in (True, False):
        output = student(data.features, data.edges, last=last)
        assert len(output.hidden) == 2 + last
        loss = F.cross_entropy(output.logits[data.train], data.labels[data.train])
        gradients.append(torch.autograd.grad(loss, list(student.parameters())))
    for whole, without in zip(*gradients, strict=True):
        torch.testing.assert_close(without, whole, atol=1e-6, rtol=1e-4)


def test_the_heads_dropout_is_another_choice_than_the_layers_and_has_its_gradient() -> None:
    torch.manual_seed(0)
    h, head = torch.ones(NODES, 16), nn.Linear(16, 16, bias=False)
    nn.init.eye_(head.weight)
    output = by_rows(lambda rows, _: rows, nn.Identity(), h, None, 0.5, head)
    values, counts = output.unique(return_counts=True)
    assert values.tolist() == [0.0, 4.0]  # a quarter passes both choices, and is doubled twice
    assert counts[1] / output.numel() == pytest.approx(0.25, abs=0.05)
    output.sum().backward()
    assert head.weight.grad is not None
    torch.testing.assert_close(head.weight.grad.diagonal(), output.sum(0))


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_evaluation_of_some_nodes_is_that_of_all(kind: StudentKind, data: GraphData) -> None:
    student = student_of(kind, dropout=0.4)
    accuracies = Evaluation(student, data)(student, None)
    logits = predict(student, data)
    for accuracy, part in zip(accuracies, (data.train, data.val), strict=True):
        right = logits[part].argmax(1) == data.labels[part]
        assert float(accuracy) == pytest.approx(float(right.double().mean()))
