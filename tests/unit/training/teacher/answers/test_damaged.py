"""Unusable answers are refused when their folder is opened."""

from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from tests.unit.training.samples import NODES, small_answers, small_graph
from tests.unit.training.test_recipes import HOPS, write_answers
from training.config import DistillOptions
from training.distill import distill
from training.errors import TeacherError
from training.teacher.answers.folder import ANSWERS_FILE, read_teacher
from training.teacher.answers.joint import with_joint_view
from training.teacher.answers.smoothing import with_smoothed_view
from training.teacher.extract import is_whole
from understudy.graph import save_graph

Arrays = dict[str, NDArray[np.generic]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = small_graph()
    answers = with_smoothed_view(graph, HOPS, with_joint_view(graph, small_answers(graph)))
    return write_answers(graph, tmp_path_factory.mktemp("whole") / "teacher", answers)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return copytree(whole, tmp_path / "teacher")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["log_probabilities", "features", "joint", "smoothed"])
def test_what_is_no_number_is_told_with_its_array(folder: Path, name: str, value: float) -> None:
    arrays = load_file(folder / ANSWERS_FILE)
    arrays[name][..., -1, 0] = value
    save_file(arrays, folder / ANSWERS_FILE)
    with pytest.raises(TeacherError, match=f"safetensors is damaged: {name} holds values that"):
        read_teacher(folder, small_graph())
    assert not is_whole(folder / ANSWERS_FILE)  # `teach` asks again


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("features", np.zeros((3, 4, 5), np.float16), r"features has shape \(3, 4, 5\), expected"),
        ("joint", np.zeros((NODES, 9), np.float32), r"joint has shape"),
        ("nodes", np.arange(1, NODES + 1), "nodes must be nodes of"),
        ("nodes", np.zeros(NODES, np.int64), "nodes must be nodes of"),
        ("tuned", np.array([-1]), "tuned must be nodes of"),
    ],
)
def test_arrays_that_do_not_fit_are_told(
    folder: Path, name: str, wrong: NDArray[np.generic], message: str
) -> None:
    arrays: Arrays = load_file(folder / ANSWERS_FILE)
    save_file({**arrays, name: wrong}, folder / ANSWERS_FILE)
    with pytest.raises(TeacherError, match=message):
        read_teacher(folder, small_graph())


def test_distill_tells_it_before_a_text_is_encoded(folder: Path, tmp_path: Path) -> None:
    save_graph(small_graph(), tmp_path / "graph")
    arrays = load_file(folder / ANSWERS_FILE)
    arrays["features"][0, 3] = np.nan
    save_file(arrays, folder / ANSWERS_FILE)
    stages: list[str] = []
    options = DistillOptions(encoder="hashing", teacher=folder)
    with pytest.raises(TeacherError, match="features holds values that are not finite"):
        distill(
            tmp_path / "graph",
            tmp_path / "out",
            options,
            lambda stage, done, total: stages.append(stage),
        )
    assert not stages
