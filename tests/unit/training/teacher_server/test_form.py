"""How a teacher folder says it must be asked: as it was tuned."""

import json
from pathlib import Path

import numpy as np

from tests.bundles import LABELS
from training.teacher.answers.folder import HopAnswers, TeacherInfo, read_info, write_teacher
from understudy.graph.prompts import PromptOptions, prompt_settings
from understudy.graph.readers.label_descriptions import read_label_descriptions

TOLD = ((LABELS[0], "the first of them"),)
SHOWN_HOP = 2


def write(folder: Path, prompts: PromptOptions) -> TeacherInfo:
    folder.mkdir()
    settings = {"prompts": prompt_settings(prompts)}
    info = TeacherInfo("causal", "m", "", "", "", "", LABELS, (0, SHOWN_HOP), settings)
    answers = np.zeros((2, 1, len(LABELS)), np.float32)
    write_teacher(folder, info, HopAnswers(np.zeros(1, np.int64), answers))
    return read_info(folder)


def test_a_file_says_what_was_told_of_the_labels(tmp_path: Path) -> None:
    info = write(tmp_path / "teacher", PromptOptions(tokens=50, label_descriptions=TOLD))
    path = tmp_path / "teacher" / "label_descriptions.json"
    assert read_label_descriptions(path, LABELS) == TOLD
    assert PromptOptions(**info.settings["prompts"]).label_descriptions == TOLD


def test_a_teacher_that_was_told_nothing_has_no_such_file(tmp_path: Path) -> None:
    info = write(tmp_path / "teacher", PromptOptions(tokens=50, nested=True))
    assert not list((tmp_path / "teacher").glob("label*"))
    assert "label_descriptions" not in json.dumps(info.settings)
