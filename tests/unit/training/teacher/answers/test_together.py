"""A teacher's folder is read consistently while another one replaces it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.other_user import as_nobody, open_to_all
from tests.unit.training.samples import small_answers, small_graph
from tests.unit.training.teacher.answers.test_served import info
from training.errors import TeacherError
from training.teacher.answers.folder import (
    ANSWERS_FILE,
    read_info,
    read_teacher,
    write_teacher,
)
from training.teacher.answers.views import served_teacher
from understudy.folders import FolderChangedError, atomic_folder, unchanged


def write(folder: Path, share: float) -> Path:
    """A teacher of its own for every share."""
    graph = small_graph()
    answers = small_answers(graph)
    folder.mkdir(exist_ok=True)
    write_teacher(
        folder,
        replace(info(graph), metrics={"share": share}),
        replace(answers, log_probabilities=answers.log_probabilities[..., ::-1] - share),
    )
    return folder


def test_answers_beside_the_description_of_others_are_refused(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one", 0.25), write(tmp_path / "other", 0.5)
    shutil.copy(other / ANSWERS_FILE, one / ANSWERS_FILE)
    for read in (read_teacher, served_teacher):
        with pytest.raises(
            TeacherError, match=r"one: answers\.safetensors and teacher\.json belong"
        ):
            read(one, small_graph())
    read_teacher(other, small_graph())


def test_a_label_that_an_earlier_release_lost_among_equals_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Uniform answers name no label, and an encoder's ties are its own."""
    graph = small_graph()
    answers = small_answers(graph, features=False)
    rows = answers.log_probabilities.copy()
    rows[0, :4, :] = -np.log(rows.shape[2])
    rows[1, :2, :2] = rows[1, :2].max(axis=1, keepdims=True) + 0.5
    tied = replace(answers, log_probabilities=rows)
    for kind, held, expected in (
        ("endpoint", tied, ["named in 2 answers"]),
        ("endpoint", answers, []),
        ("encoder", tied, []),
    ):
        caplog.clear()
        folder = tmp_path / f"{kind}-{len(expected)}"
        folder.mkdir()
        write_teacher(folder, replace(info(graph), kind=kind), held)
        read_teacher(folder, graph)
        assert len(caplog.messages) == len(expected)
        assert all(words in caplog.messages[0] for words in expected)


def test_a_teacher_that_takes_the_place_of_the_one_that_is_read_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "teacher", 0.25)
    first = read_info(folder).answers
    with unchanged(folder):
        read_teacher(folder, small_graph())
    with pytest.raises(FolderChangedError, match="rewritten while it was read; run the same"):
        read_around_another(folder)
    assert read_info(folder).answers != first


def test_answers_that_may_not_be_read_are_not_called_damaged() -> None:
    with open_to_all() as place:
        folder = write(place / "teacher", 0.25)
        (folder / ANSWERS_FILE).chmod(0)
        message = rf"{ANSWERS_FILE}: Permission denied$".replace(".", r"\.")
        with as_nobody(), pytest.raises(TeacherError, match=message):
            read_teacher(folder, small_graph())


def read_around_another(folder: Path) -> None:
    with unchanged(folder):
        read_teacher(folder, small_graph())
        with atomic_folder(folder) as new:
            write(new, 0.5)
        served_teacher(folder, small_graph())
