"""A student folder of which a file is missing, damaged or of an earlier release."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.unit.training.samples import small_graph
from training.calibration import Calibration
from training.config import DistillOptions, Epoch, StudentConfig, Training
from training.distill import checkpoint_config
from training.errors import CheckpointError
from training.student.checkpoint import build_student, load_checkpoint, save_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    options = DistillOptions(encoder="hashing", student=StudentConfig(hidden=16))
    config = replace(checkpoint_config(tmp_path / "graph", small_graph(), options), terms={})
    training = Training([Epoch(1.0, 0.5, 0.5)], 0, 1.0)
    calibration = Calibration(temperature=7.0)
    student = build_student(config)
    save_checkpoint(tmp_path / "student", config, student, training, {}, calibration)
    return tmp_path / "student"


@pytest.mark.parametrize("name", ["calibration.json", "metrics.json", "student.safetensors"])
def test_a_missing_file_is_told(folder: Path, name: str) -> None:
    assert load_checkpoint(folder).calibration.temperature == 7.0
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=rf"student is damaged: .*{name} is missing"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("calibration.json", b"", "Expecting value"),
        ("calibration.json", b"[]", "list indices"),
        ("metrics.json", b'{"val', "Unterminated string"),
        ("metrics.json", b"3", "not iterable"),
        ("config.json", b'{"format_version": 3}', "student"),
        ("served_teacher.json", b"{}", "record"),
        ("student.safetensors", b"", "header"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(
    folder: Path, name: str, content: bytes, words: str
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    told = str(caught.value)
    assert told.startswith(f"{folder / name} is damaged: ")
    assert words in told
    assert told.endswith("; restore the folder, or move it away and run `understudy distill` again")


def test_a_missing_record_of_a_teacher_that_was_measured_is_told(folder: Path) -> None:
    path = folder / "calibration.json"
    calibration = json.loads(path.read_text())
    assert load_checkpoint(folder).served is None  # there was no teacher
    deferral = {"summary": "auto never defers", "nodes": 12}
    path.write_text(json.dumps(calibration | {"deferral": deferral}))
    with pytest.raises(CheckpointError, match=r"damaged: served_teacher\.json is missing; restore"):
        load_checkpoint(folder)


def test_weights_that_changed_since_they_were_written_are_refused(folder: Path) -> None:
    weights = folder / "student.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 0x10
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"student\.safetensors is damaged: it was changed s"):
        load_checkpoint(folder)


def test_weights_of_earlier_releases_are_read_without_a_digest(folder: Path) -> None:
    weights = folder / "student.safetensors"
    save_file(load_file(weights), weights)
    assert load_checkpoint(folder).metrics == {}


def test_a_folder_of_the_first_format_has_no_calibration(folder: Path) -> None:
    (folder / "calibration.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format_version": 1}))
    assert load_checkpoint(folder).calibration == Calibration()
