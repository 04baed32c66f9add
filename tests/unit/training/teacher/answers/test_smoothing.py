"""Answers spread over the edges."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.unit.training.samples import (
    CLASSES,
    NODES,
    noisy_answers,
    small_answers,
    small_graph,
)
from training.data import normalized_adjacency
from training.errors import TeacherError
from training.folds import FOLDS, training_folds
from training.teacher.answers.folder import (
    HopAnswers,
    TeacherInfo,
    View,
    read_teacher,
    write_teacher,
)
from training.teacher.answers.smoothing import (
    FACTORS,
    REMAINDER,
    smoothed,
    smoothed_out_of_fold,
    with_smoothed_view,
)
from training.teacher.answers.views import (
    REACHED,
    SMOOTHED,
    chosen_view,
    make_targets,
    teacher_metrics,
    view_names,
)
from understudy.graph.csr import build_adjacency
from understudy.graph.splits import labeled_nodes

HOPS = (0, 1, 2)


def whole(log_probabilities: NDArray[np.float32]) -> View:
    return View(np.arange(NODES), log_probabilities)


def test_neighbours_answers_put_a_noisy_teacher_right() -> None:
    graph = small_graph()
    answers = with_smoothed_view(graph, HOPS, noisy_answers(graph))
    metrics = teacher_metrics(graph, HOPS, answers)
    assert view_names(metrics) == ["hop0", "hop1", "hop2", "ensemble", "smoothed"]
    assert chosen_view(metrics) == SMOOTHED
    assert metrics["test_accuracy_smoothed"] > metrics["test_accuracy_ensemble"]
    assert make_targets(graph, HOPS, answers).view == SMOOTHED
    assert answers.smoothed is not None
    assert len(answers.smoothed.nodes) == NODES
    shares = np.exp(answers.smoothed.log_probabilities).sum(axis=1)
    np.testing.assert_allclose(shares, 1.0, atol=1e-5)


@pytest.mark.parametrize("factor", FACTORS)
def test_it_goes_to_the_limit_of_its_equation(factor: float) -> None:
    graph = small_graph()
    values = noisy_answers(graph).log_probabilities[0]
    train = labeled_nodes(graph, "train")
    start = np.exp(values)
    start[train] = np.eye(CLASSES)[graph.labels[train]]
    matrix = normalized_adjacency(graph.adjacency)
    system = np.eye(NODES) - factor * matrix.toarray()
    limit = (1 - factor) * np.linalg.solve(system, start)
    limit /= limit.sum(axis=1, keepdims=True)
    found = np.exp(smoothed(graph, matrix, whole(values), factor).log_probabilities)
    np.testing.assert_allclose(found, limit, atol=2 * REMAINDER)
    assert np.abs(found - start).max() > 0.1


@pytest.mark.parametrize("tuned", [False, True])
def test_a_training_node_hears_the_labels_of_other_folds_alone(tuned: bool) -> None:
    graph = small_graph()
    values = noisy_answers(graph).log_probabilities[0]
    train = labeled_nodes(graph, "train")
    folds = training_folds(graph, train)
    assert np.bincount(folds).min() > 1
    matrix = normalized_adjacency(graph.adjacency)
    answers = HopAnswers(np.arange(NODES), values[None])
    if tuned:
        answers = replace(answers, tuned=train)
    found = smoothed_out_of_fold(graph, matrix, whole(values), 0.8, answers)
    system = np.eye(NODES) - 0.8 * matrix.toarray()
    for fold in range(FOLDS):
        start = np.exp(values)
        start[train] = np.eye(CLASSES)[graph.labels[train]]
        own = train[folds == fold]
        start[own] = 0 if tuned else np.exp(values[own])
        limit = np.linalg.solve(system, start)
        own = np.intersect1d(own, found.nodes)
        limit = limit[own] / limit[own].sum(axis=1, keepdims=True)
        said = np.exp(found.log_probabilities[np.isin(found.nodes, own)])
        np.testing.assert_allclose(said, limit, atol=2 * REMAINDER)
    whole_view = smoothed(graph, matrix, whole(values), 0.8)
    rest = np.setdiff1d(np.arange(NODES), train)
    np.testing.assert_array_equal(
        found.log_probabilities[np.isin(found.nodes, rest)],
        whole_view.log_probabilities[np.isin(whole_view.nodes, rest)],
    )


def test_soft_labels_of_training_nodes_are_what_the_teacher_says() -> None:
    graph = small_graph()
    train = labeled_nodes(graph, "train")
    answers = noisy_answers(graph)
    other = answers.log_probabilities.copy()
    other[:, train] = other[:, np.roll(train, 1)]
    targets = [
        make_targets(graph, HOPS, with_smoothed_view(graph, HOPS, one), SMOOTHED).log_probabilities
        for one in (answers, replace(answers, log_probabilities=other))
    ]
    assert (targets[0][train] - targets[1][train]).abs().max() > 0.1
    shares = targets[0][train].exp()
    assert float(shares.max(1).values.mean()) < 0.95  # their labels would be nearly sure
    tuned = [
        make_targets(
            graph, HOPS, with_smoothed_view(graph, HOPS, replace(one, tuned=train)), SMOOTHED
        )
        for one in (answers, replace(answers, log_probabilities=other))
    ]
    # A transformer that was tuned on them has their labels by heart, and they are not asked.
    assert torch.equal(tuned[0].log_probabilities, tuned[1].log_probabilities)
    assert bool(tuned[0].known[train].any())


def test_unsmoothed_answers_about_nodes_that_were_tuned_on_are_not_learned_from() -> None:
    graph = small_graph()
    train = labeled_nodes(graph, "train")
    targets = make_targets(graph, HOPS, replace(noisy_answers(graph), tuned=train))
    np.testing.assert_array_equal(np.flatnonzero(~targets.known.numpy()), np.sort(train))
    assert bool(targets.asked.all())


def test_no_label_but_those_of_training_reaches_an_answer() -> None:
    graph = small_graph()
    rest = np.concatenate([labeled_nodes(graph, name) for name in ("val", "test")])
    labels = graph.labels.copy()
    labels[rest] = (labels[rest] + 1) % CLASSES
    view = whole(noisy_answers(graph).log_probabilities[0])
    matrix = normalized_adjacency(graph.adjacency)
    first, second = (
        smoothed(one, matrix, view, 0.8).log_probabilities
        for one in (graph, replace(graph, labels=labels))
    )
    np.testing.assert_array_equal(first, second)


def test_nodes_that_nobody_asked_about_are_answered_where_edges_lead() -> None:
    graph = small_graph()
    pairs = graph.adjacency.edges()
    lone = int(labeled_nodes(graph, "test")[-1])
    cut = build_adjacency(NODES, pairs[(pairs != lone).all(axis=1)])[0]
    graph = replace(graph, adjacency=cut)
    answers = noisy_answers(graph)
    nodes = np.setdiff1d(np.arange(0, NODES, 3), [lone])
    some = HopAnswers(nodes, answers.log_probabilities[:, nodes])
    extended = with_smoothed_view(graph, HOPS, some)
    assert extended.smoothed is not None
    isolated = np.flatnonzero(graph.adjacency.degrees == 0)
    silent = np.setdiff1d(isolated, nodes)
    assert lone in silent
    np.testing.assert_array_equal(np.setdiff1d(np.arange(NODES), extended.smoothed.nodes), silent)
    metrics = teacher_metrics(graph, HOPS, extended)
    assert view_names(metrics)[-2:] == [SMOOTHED, REACHED]
    assert metrics["test_accuracy_reached"] > 0.6
    assert chosen_view({**metrics, "val_accuracy_reached": 1.0}) != REACHED

    targets = make_targets(graph, HOPS, extended)
    for marks in (targets.asked, targets.known):
        np.testing.assert_array_equal(np.flatnonzero(marks.numpy()), nodes)
    targets = make_targets(graph, HOPS, extended, view=REACHED)
    assert targets.view == REACHED
    np.testing.assert_array_equal(np.flatnonzero(targets.asked.numpy()), nodes)
    np.testing.assert_array_equal(np.flatnonzero(targets.known.numpy()), extended.smoothed.nodes)


def test_where_every_node_was_asked_about_none_is_reached() -> None:
    graph = small_graph()
    answers = with_smoothed_view(graph, HOPS, noisy_answers(graph))
    with pytest.raises(TeacherError, match=r"no view 'reached'; choose from hop0, .*, smoothed"):
        make_targets(graph, HOPS, answers, view=REACHED)
    assert make_targets(graph, HOPS, answers, view="hop1").view == "hop1"


def test_without_a_validation_node_nothing_can_be_chosen() -> None:
    graph = small_graph()
    graph = replace(graph, splits={**graph.splits, "val": np.empty(0, np.int64)})
    answers = noisy_answers(graph)
    assert with_smoothed_view(graph, HOPS, answers) is answers


def test_a_node_without_neighbours_keeps_its_own_answer() -> None:
    graph = small_graph()
    edgeless = normalized_adjacency(build_adjacency(NODES, np.empty((0, 2), np.int64))[0])
    values = noisy_answers(graph).log_probabilities[0]
    found = smoothed(graph, edgeless, whole(values), 0.9).log_probabilities
    rest = np.setdiff1d(np.arange(NODES), labeled_nodes(graph, "train"))
    np.testing.assert_allclose(found[rest], values[rest], atol=1e-4)


def test_a_teachers_folder_keeps_it(tmp_path: Path) -> None:
    graph = small_graph()
    answers = with_smoothed_view(graph, HOPS, small_answers(graph))
    names = graph.name, graph.label_names
    info = TeacherInfo("encoder", "encoder", "", "", graph.content_hash, *names, HOPS)
    write_teacher(tmp_path, info, answers)
    assert answers.smoothed is not None
    again = read_teacher(tmp_path, graph)[1].smoothed
    assert read_teacher(tmp_path, graph)[1].tuned.size == 0
    assert again is not None
    np.testing.assert_array_equal(again.nodes, answers.smoothed.nodes)
    np.testing.assert_array_equal(again.log_probabilities, answers.smoothed.log_probabilities)


def test_a_folder_of_an_earlier_release_teaches_nothing_about_training_nodes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = small_graph()
    answers = with_smoothed_view(graph, HOPS, small_answers(graph))
    names = graph.name, graph.label_names
    info = TeacherInfo("encoder", "encoder", "", "", graph.content_hash, *names, HOPS)
    write_teacher(tmp_path, info, answers)
    arrays = load_file(tmp_path / "answers.safetensors")
    del arrays["tuned"]
    save_file(arrays, tmp_path / "answers.safetensors")
    about = json.loads((tmp_path / "teacher.json").read_text())
    (tmp_path / "teacher.json").write_text(json.dumps({**about, "format_version": 1}))
    _, again = read_teacher(tmp_path, graph)
    assert "run `understudy teach` again" in caplog.text
    train = torch.from_numpy(labeled_nodes(graph, "train"))
    targets = make_targets(graph, HOPS, again)
    assert not bool(targets.known[train].any())
    assert bool(targets.tuned[train].all())
    assert bool(targets.known.any())
