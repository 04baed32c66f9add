"""A student's folder that lacks a file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

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


def test_a_folder_of_the_first_format_has_no_calibration(folder: Path) -> None:
    (folder / "calibration.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format_version": 1}))
    assert load_checkpoint(folder).calibration == Calibration()
