"""How many modules one must read to follow a distillation from the command to the folder."""

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import training.distill  # noqa: F401  so that its own import is no part of the walk
from tests.unit.training.samples import NODES, small_graph
from tests.unit.training.test_recipes import teacher_folder
from tests.walks import entered, told_of
from training.cli.distill import distill
from training.encoders.features import embeddings_file
from understudy.graph import save_graph

MOST_MODULES = 16
OF_A_TEACHER = 4  # more: its folder, its views, and the objectives that hear what these hold


def distillation(folder: Path, taught: bool, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The files of `training/` that a distillation enters, with the embeddings in the cache."""
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(folder / "cache"))
    graph = small_graph()
    save_graph(graph, folder / "graph")
    file = embeddings_file(graph)
    file.parent.mkdir(parents=True)
    values = np.random.default_rng(0).normal(size=(NODES, 384))
    np.save(file, values.astype(np.float32))
    teacher = teacher_folder(graph, folder / "teacher") if taught else None
    app = typer.Typer()
    app.command()(distill)
    words = [str(folder / "graph"), str(folder / "student"), "--epochs", "2"]
    words += ["--teacher", str(teacher)] if teacher else []
    with entered("training") as files:
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert (folder / "student" / "student.safetensors").is_file()
    return files


def test_a_distillation_from_labels_enters_few_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = distillation(tmp_path, False, monkeypatch)
    assert len(walk) <= MOST_MODULES, sorted(walk)
    assert walk < told_of("a distillation")


def test_a_teacher_adds_few_and_the_page_walks_through_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = distillation(tmp_path, True, monkeypatch)
    assert len(walk) <= MOST_MODULES + OF_A_TEACHER, sorted(walk)
    assert walk == told_of("a distillation")
