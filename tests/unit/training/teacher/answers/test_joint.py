"""The head that reads all hops at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.training.samples import CLASSES, NODES, small_answers, small_graph
from training.teacher.answers.folder import HopAnswers, TeacherInfo, read_teacher, write_teacher
from training.teacher.answers.joint import BLOCK_NODES, apply, joined, with_joint_view
from training.teacher.answers.views import (
    JOINT,
    chosen_view,
    make_targets,
    teacher_metrics,
    view_names,
)
from understudy.graph.splits import labeled_nodes
from understudy.graph.text_graph import TextGraph

HOPS = (0, 1, 2)


def halves(graph: TextGraph) -> HopAnswers:
    """A teacher each of whose hops tells one class from the others, and whose answers are noise."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(3, NODES, 4))
    for hop in range(3):
        features[hop, :, 0] += 6.0 * (graph.labels == hop)
    noise = generator.normal(size=(3, NODES, CLASSES)).astype(np.float32)
    noise -= np.log(np.exp(noise).sum(axis=2, keepdims=True))
    return HopAnswers(np.arange(NODES), noise, features.astype(np.float16))


def test_it_knows_what_each_hop_tells_a_part_of() -> None:
    graph = small_graph()
    answers = with_joint_view(graph, halves(graph))
    metrics = teacher_metrics(graph, HOPS, answers)
    assert view_names(metrics) == ["hop0", "hop1", "hop2", "ensemble", "joint"]
    assert chosen_view(metrics) == JOINT
    assert metrics["test_accuracy_joint"] > 0.9 > metrics["test_accuracy_ensemble"]
    assert answers.joint is not None
    np.testing.assert_allclose(np.exp(answers.joint).sum(axis=1), 1.0, atol=1e-5)
    targets = make_targets(graph, HOPS, answers)
    assert targets.view == JOINT


def test_labels_outside_of_training_and_validation_are_not_read() -> None:
    graph = small_graph()
    test = labeled_nodes(graph, "test")
    labels = graph.labels.copy()
    labels[test] = (labels[test] + 1) % CLASSES
    first, second = (
        with_joint_view(one, halves(graph)).joint for one in (graph, replace(graph, labels=labels))
    )
    np.testing.assert_array_equal(first, second)


def test_it_has_not_learned_by_heart_what_it_says_about_training_nodes() -> None:
    graph = small_graph()
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(3, NODES, 40)).astype(np.float16)
    answers = with_joint_view(graph, replace(halves(graph), features=noise))
    train = labeled_nodes(graph, "train")
    assert answers.joint is not None
    right = answers.joint[train].argmax(axis=1) == graph.labels[train]
    assert right.mean() < 0.6  # a head would know all of them


@pytest.mark.parametrize("case", ["no features", "one hop", "no training node"])
def test_what_cannot_be_joined_stays_as_it_is(case: str) -> None:
    graph = small_graph()
    answers = small_answers(graph, features=case != "no features")
    if case == "one hop":
        assert answers.features is not None
        answers = replace(answers, features=answers.features[:1])
    if case == "no training node":
        others = np.isin(answers.nodes, labeled_nodes(graph, "train"), invert=True)
        assert answers.features is not None
        answers = HopAnswers(
            answers.nodes[others],
            answers.log_probabilities[:, others],
            features=answers.features[:, others],
        )
    assert with_joint_view(graph, answers) is answers


def test_a_teachers_folder_keeps_it(tmp_path: Path) -> None:
    graph = small_graph()
    answers = with_joint_view(graph, small_answers(graph))
    info = TeacherInfo(
        "encoder", "encoder", "", "", graph.content_hash, graph.name, graph.label_names, HOPS
    )
    write_teacher(tmp_path, info, answers)
    assert answers.joint is not None
    np.testing.assert_array_equal(read_teacher(tmp_path, graph)[1].joint, answers.joint)


def test_blocks_are_answered_in_order() -> None:
    features = np.random.default_rng(0).normal(size=(2, BLOCK_NODES + 5, 3)).astype(np.float16)
    torch.manual_seed(0)
    head = nn.Linear(6, 4)
    with torch.no_grad():
        expected = head(torch.from_numpy(joined(features))).log_softmax(1).numpy()
    np.testing.assert_allclose(apply(head, features), expected, atol=1e-5)
