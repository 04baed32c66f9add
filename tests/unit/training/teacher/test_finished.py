"""A finished teacher is asked again where a file of it is missing, damaged or changed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.unit.training.samples import small_answers, small_graph
from tests.unit.training.teacher.answers.test_served import info
from training.errors import TeacherError
from training.teacher.answers.folder import ANSWERS_FILE, read_teacher, write_teacher
from training.teacher.answers.views import TUNED_FILE
from training.teacher.finished import finished
from training.weights import read_weights, save_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graph = small_graph()
    described = info(graph)
    described = replace(described, settings={**described.settings, "fingerprint": "same"})
    write_teacher(tmp_path, described, small_answers(graph))
    save_weights(
        {"head": torch.arange(6.0).reshape(2, 3), "scale": torch.tensor(2.0)}, tmp_path / TUNED_FILE
    )
    return tmp_path


def change_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 0x04  # still a finite number
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_a_finished_teacher_is_not_made_again(folder: Path) -> None:
    assert finished(folder, "same", (TUNED_FILE,)) is not None
    assert finished(folder, "another", (TUNED_FILE,)) is None


@pytest.mark.parametrize("name", [ANSWERS_FILE, TUNED_FILE])
@pytest.mark.parametrize("harm", [change_last_byte, empty, Path.unlink])
def test_a_changed_or_missing_file_makes_it_again(
    folder: Path, name: str, harm: Callable[[Path], None]
) -> None:
    harm(folder / name)
    assert finished(folder, "same", (TUNED_FILE,)) is None


def test_changed_answers_are_not_learned_from(folder: Path) -> None:
    read_teacher(folder, small_graph())
    change_last_byte(folder / ANSWERS_FILE)
    with pytest.raises(TeacherError, match=r"answers\.safetensors is damaged: it was changed sin"):
        read_teacher(folder, small_graph())


def test_missing_answers_are_named_with_what_to_do(folder: Path) -> None:
    (folder / ANSWERS_FILE).unlink()
    with pytest.raises(TeacherError, match=r"is damaged: answers\.safetensors is missing; restore"):
        read_teacher(folder, small_graph())


def test_weights_are_read_as_they_were_written(folder: Path) -> None:
    assert torch.equal(read_weights(folder / TUNED_FILE)["head"], torch.arange(6.0).reshape(2, 3))
    change_last_byte(folder / TUNED_FILE)
    with pytest.raises(ValueError, match="changed since it was written"):
        read_weights(folder / TUNED_FILE)
