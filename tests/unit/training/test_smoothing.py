"""Answers that are spread over the edges."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graph.csr import build_adjacency
from tests.unit.training.samples import (
    CLASSES,
    NODES,
    noisy_answers,
    small_answers,
    small_graph,
)
from training.data import labeled_members, normalized_adjacency
from training.targets import make_targets
from training.teachers.folder import HopAnswers, TeacherInfo, read_teacher, write_teacher
from training.teachers.scores import SMOOTHED, chosen_view, teacher_metrics, view_names
from training.teachers.smoothing import FACTORS, REMAINDER, smoothed, with_smoothed_view

HOPS = (0, 1, 2)


def test_neighbours_answers_put_a_noisy_teacher_right() -> None:
    graph = small_graph()
    answers = with_smoothed_view(graph, HOPS, noisy_answers(graph))
    metrics = teacher_metrics(graph, HOPS, answers)
    assert view_names(metrics) == ["hop0", "hop1", "hop2", "ensemble", "smoothed"]
    assert chosen_view(metrics) == SMOOTHED
    assert metrics["test_accuracy_smoothed"] > metrics["test_accuracy_ensemble"]
    assert make_targets(graph, HOPS, answers).view == SMOOTHED
    assert answers.smoothed is not None
    np.testing.assert_allclose(np.exp(answers.smoothed).sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("factor", FACTORS)
def test_it_goes_to_the_limit_of_its_equation(factor: float) -> None:
    graph = small_graph()
    values = noisy_answers(graph).log_probabilities[0]
    train = labeled_members(graph, "train").numpy()
    start = np.exp(values)
    start[train] = np.eye(CLASSES)[graph.labels[train]]
    matrix = normalized_adjacency(graph.adjacency)
    system = np.eye(NODES) - factor * matrix.toarray()
    limit = (1 - factor) * np.linalg.solve(system, start)
    limit /= limit.sum(axis=1, keepdims=True)
    found = np.exp(smoothed(graph, matrix, np.arange(NODES), values, factor))
    np.testing.assert_allclose(found, limit, atol=2 * REMAINDER)
    assert np.abs(found - start).max() > 0.1


def test_no_label_but_those_of_training_reaches_an_answer() -> None:
    graph = small_graph()
    rest = np.concatenate([labeled_members(graph, name).numpy() for name in ("val", "test")])
    labels = graph.labels.copy()
    labels[rest] = (labels[rest] + 1) % CLASSES
    values, nodes = noisy_answers(graph).log_probabilities[0], np.arange(NODES)
    matrix = normalized_adjacency(graph.adjacency)
    first, second = (
        smoothed(one, matrix, nodes, values, 0.8) for one in (graph, replace(graph, labels=labels))
    )
    np.testing.assert_array_equal(first, second)


def test_of_some_nodes_the_answers_about_those_are_kept() -> None:
    graph = small_graph()
    whole = noisy_answers(graph)
    nodes = np.arange(0, NODES, 2)
    some = HopAnswers(nodes, whole.log_probabilities[:, nodes])
    found = with_smoothed_view(graph, HOPS, some).smoothed
    assert found is not None
    assert found.shape == (len(nodes), CLASSES)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0, atol=1e-5)
    metrics = teacher_metrics(graph, HOPS, replace(some, smoothed=found))
    assert metrics["test_accuracy_smoothed"] > metrics["test_accuracy_hop0"]


def test_without_a_validation_answer_nothing_can_be_chosen() -> None:
    graph = small_graph()
    nodes = np.setdiff1d(np.arange(NODES), labeled_members(graph, "val").numpy())
    answers = HopAnswers(nodes, noisy_answers(graph).log_probabilities[:, nodes])
    assert with_smoothed_view(graph, HOPS, answers) is answers


def test_a_node_without_neighbours_keeps_its_own_answer() -> None:
    graph = small_graph()
    edgeless = normalized_adjacency(build_adjacency(NODES, np.empty((0, 2), np.int64))[0])
    values = noisy_answers(graph).log_probabilities[0]
    found = smoothed(graph, edgeless, np.arange(NODES), values, 0.9)
    rest = np.setdiff1d(np.arange(NODES), labeled_members(graph, "train").numpy())
    np.testing.assert_allclose(found[rest], values[rest], atol=1e-4)


def test_a_teachers_folder_keeps_it(tmp_path: Path) -> None:
    graph = small_graph()
    answers = with_smoothed_view(graph, HOPS, small_answers(graph))
    names = graph.name, graph.label_names
    info = TeacherInfo("encoder", "encoder", "", "", graph.content_hash, *names, HOPS)
    write_teacher(tmp_path, info, answers)
    assert answers.smoothed is not None
    np.testing.assert_array_equal(read_teacher(tmp_path, graph)[1].smoothed, answers.smoothed)
