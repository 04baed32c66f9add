"""What `distill` trains for given choices; refusals before texts are encoded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.samples import noisy_answers, small_answers, small_graph
from training.config import DistillOptions, StudentConfig
from training.distill import distill
from training.errors import TrainingError
from training.recipes import candidates
from training.teacher.answers.folder import HopAnswers, TeacherInfo, write_teacher
from training.teacher.answers.smoothing import with_smoothed_view
from understudy.graph import TextGraph, save_graph
from understudy.graph.splits import labeled_nodes

HOPS = (0, 1, 2)


def teacher_folder(graph: TextGraph, folder: Path, features: bool = True) -> Path:
    return write_answers(graph, folder, small_answers(graph, features))


def write_answers(
    graph: TextGraph, folder: Path, answers: HopAnswers, hops: tuple[int, ...] = HOPS
) -> Path:
    names = graph.name, graph.label_names
    info = TeacherInfo("encoder", "encoder", "", "", graph.content_hash, *names, hops)
    folder.mkdir()
    write_teacher(folder, info, answers)
    return folder


@pytest.mark.parametrize(
    ("asked", "trained"),
    [
        ({"lingugkd": 1.0}, {"cross_entropy": 1.0, "lingugkd": 1.0}),
        ({"nd": 0.5, "kd": 1.0}, {"cross_entropy": 1.0, "nd": 0.5, "kd": 1.0}),
        ({"kd": 1.0, "cross_entropy": 0.0}, {"cross_entropy": 0.0, "kd": 1.0}),
        ({"kd": 1.0, "cross_entropy": 0.3}, {"cross_entropy": 0.3, "kd": 1.0}),
    ],
)
def test_labels_stay_unless_their_weight_is_said(
    asked: dict[str, float], trained: dict[str, float], tmp_path: Path
) -> None:
    graph = small_graph()
    folder = teacher_folder(graph, tmp_path / "teacher")
    (candidate,) = candidates(graph, folder, None, asked, False, StudentConfig())
    assert candidate.weights == trained


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"magic": 1.0}, "unknown objective 'magic'; choose from cross_entropy, kd"),
        ({"kd": float("nan")}, "the weight of 'kd' must be a number of at least 0: nan"),
        ({"kd": -1.0}, "the weight of 'kd' must be a number of at least 0: -1"),
        ({"cross_entropy": 0.0}, "no objective has a weight above 0"),
        ({"lingugkd": 1.0}, "needs a teacher's features, which an endpoint does"),
        ({"nd": 1.0, "cross_entropy": 0.0}, "an endpoint does not provide"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_encoded(
    weights: dict[str, float], message: str, tmp_path: Path
) -> None:
    graph = small_graph()
    save_graph(graph, tmp_path / "graph")
    folder = teacher_folder(graph, tmp_path / "teacher", features=False)
    options = DistillOptions(
        encoder="minilm",
        encoder_path=tmp_path / "no encoder",  # which is not come to
        teacher=folder,
        objectives=weights,
    )
    with pytest.raises(TrainingError, match=message):
        distill(tmp_path / "graph", tmp_path / "student", options)


@pytest.mark.parametrize(
    ("weights", "tuned", "message"),
    [
        ({}, False, r"the teacher's hops are \(3, 4, 5\), and the student has 2 layers; raise"),
        ({"lingugkd": 1.0}, True, "shows features of no node that it was not tuned on"),
        ({"nd": 1.0}, True, "shows features of no node that it was not tuned on"),
        ({"lelp": 1.0}, True, "shows features of no node that it was not tuned on"),
    ],
)
def test_features_that_cannot_be_learned_from_are_told_before_anything_is_encoded(
    weights: dict[str, float], tuned: bool, message: str, tmp_path: Path
) -> None:
    graph = small_graph()
    save_graph(graph, tmp_path / "graph")
    answers = small_answers(graph)
    if tuned:
        answers = replace(answers, tuned=np.arange(graph.num_nodes))
    hops = HOPS if tuned else (3, 4, 5)
    options = DistillOptions(
        encoder_path=tmp_path / "no encoder",  # which is not come to
        teacher=write_answers(graph, tmp_path / "teacher", answers, hops),
        objectives=weights,
    )
    with pytest.raises(TrainingError, match=message):
        distill(tmp_path / "graph", tmp_path / "student", options)


@pytest.mark.parametrize(
    ("tuned", "weights", "names"),
    [
        (False, {"kd": 1.0}, ["alone", "taught", "unsmoothed"]),
        (True, {"kd": 1.0}, ["alone", "taught"]),
        (True, {"unlabeled": 1.0}, ["alone", "taught", "unsmoothed"]),
    ],
)
def test_unsmoothed_answers_compete_where_they_say_something(
    tuned: bool, weights: dict[str, float], names: list[str], tmp_path: Path
) -> None:
    graph = small_graph()
    answers = noisy_answers(graph)
    if tuned:
        answers = replace(answers, tuned=labeled_nodes(graph, "train"))
    answers = with_smoothed_view(graph, HOPS, answers)
    folder = write_answers(graph, tmp_path / "teacher", answers)
    found = candidates(graph, folder, None, weights, True, StudentConfig())
    assert [candidate.name for candidate in found] == names


def test_what_is_doubtful_of_a_view_is_told_once_of_all_that_learn_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = small_graph()
    folder = teacher_folder(graph, tmp_path / "teacher")
    found = candidates(graph, folder, None, {}, True, StudentConfig())
    assert {"features", "taught"} <= {candidate.name for candidate in found}
    told = [record.message for record in caplog.records if "answered about only" in record.message]
    assert len(told) == len(set(told)) == 1


def test_an_objective_without_a_teacher_is_told_before_anything_is_encoded(tmp_path: Path) -> None:
    save_graph(small_graph(), tmp_path / "graph")
    options = DistillOptions(encoder_path=tmp_path / "no encoder", objectives={"kd": 1.0})
    with pytest.raises(TrainingError, match="'kd' needs a teacher; name its folder"):
        distill(tmp_path / "graph", tmp_path / "student", options)
