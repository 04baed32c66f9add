"""A head fitted to cached features."""

import numpy as np
import torch
from torch import nn

from tests.unit.training.samples import CLASSES, NODES, small_graph
from training.teacher.answers.folder import HopAnswers
from training.teacher.encoder import Classifier, EncoderOptions, EncoderTeacher
from training.teacher.encoder_head import with_fitted_head
from training.teacher.head import (
    EPOCHS,
    PATIENCE,
    answers_out_of_fold,
    fit_head,
    head_answers,
)
from training.teacher.options import TeachOptions
from understudy.graph.splits import labeled_nodes


def test_a_head_finds_what_tells_classes_apart() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 300)
    features = generator.normal(5, 2, (2, 300, 8))
    features[:, :, :3] += 8 * np.eye(3)[labels]
    head = fit_head(features, labels, np.arange(200), np.arange(200, 250), 3)
    with torch.no_grad():
        found = head(torch.from_numpy(features[1, 250:]).float()).argmax(1)
    assert float((found.numpy() == labels[250:]).mean()) > 0.95


def test_a_head_reads_features_of_any_scale_alike() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 60)
    features = generator.normal(size=(2, 60, 5)) + np.eye(3, 5)[labels]
    heads = [
        fit_head(values, labels, np.arange(40), np.arange(40, 60), 3)
        for values in (features, 1e-3 * features + 0.5)
    ]
    own, small = head_answers(heads[0], features), head_answers(heads[1], 1e-3 * features + 0.5)
    np.testing.assert_allclose(small, own, atol=5e-3)


def test_fitting_ends_where_validation_was_best_long_enough_ago() -> None:
    labels, rows = np.zeros(4, np.int64), np.arange(4)  # of one class: right after one step
    done: list[float] = []
    fit_head(np.eye(4)[None], labels, rows, rows, 1, progress=lambda _, at, __: done.append(at))
    assert done == [*range(1, PATIENCE + 2), EPOCHS]


def test_heads_say_about_training_nodes_what_others_tell_of_them() -> None:
    """What features tell of a class is said; labels that they do not tell are not."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 150)
    telling = generator.normal(size=(2, 150, 60))
    known = np.r_[:100, 120:150]
    telling[:, known, :3] += 6 * np.eye(3)[labels[known]]
    train, validation, folds = np.arange(120), np.arange(120, 150), np.arange(120) % 5
    said = answers_out_of_fold(telling, labels, train, validation, folds, 3)
    assert said.shape == (2, 120, 3)
    right = (said.argmax(axis=2) == labels[:120]).mean(axis=0)
    assert right[:100].mean() > 0.8
    assert right[100:].mean() < 0.7
    head = fit_head(telling, labels, train, validation, 3)
    by_heart = head_answers(head, telling[:, 100:120]).argmax(axis=2) == labels[100:120]
    assert by_heart.mean() > right[100:].mean()


def test_where_one_fold_holds_every_node_nothing_is_said() -> None:
    features, none = np.ones((1, 2, 4)), np.empty(0, dtype=np.int64)
    train = np.arange(2)
    said = answers_out_of_fold(features, np.array([0, 1]), train, none, np.zeros(2, np.int64), 2)
    np.testing.assert_allclose(np.exp(said), 0.5)


def test_a_frozen_encoders_answers_about_training_nodes_are_out_of_fold() -> None:
    graph = small_graph()
    noise = np.random.default_rng(0).normal(size=(2, NODES, 60)).astype(np.float16)
    train = labeled_nodes(graph, "train")
    rest = np.setdiff1d(np.arange(NODES), train)
    noise[:, rest, :CLASSES] += 4 * np.eye(CLASSES)[graph.labels[rest]]  # of training nodes nothing
    noise[:, train[:9], :CLASSES] += 4 * np.eye(CLASSES)[graph.labels[train[:9]]]
    alike = np.zeros((2, NODES, CLASSES), dtype=np.float32)
    module = Classifier(nn.Identity(), 60, CLASSES)
    teacher = EncoderTeacher(module, None, EncoderOptions(frozen=True), "")
    answers = HopAnswers(np.arange(NODES), alike, noise)
    said = with_fitted_head(teacher, graph, answers, TeachOptions(), lambda *_: None)
    right = said.log_probabilities[:, train[9:]].argmax(axis=2) == graph.labels[train[9:]]
    assert right.mean() < 0.6
    own = head_answers(module.head, noise[:, train[9:]]).argmax(axis=2) == graph.labels[train[9:]]
    assert own.mean() > right.mean() + 0.2  # what the head that answers others knows by heart
