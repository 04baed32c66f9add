"""Too little disk space for a teacher's answers."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from tests.disks import small_file_system
from tests.language_models import write_tiny_encoder
from training.errors import TeacherError
from training.teacher.answers.folder import read_teacher
from training.teacher.local import TEACHERS, load_local, register_teacher
from training.teacher.options import TeachOptions
from training.teacher.protocol import Answers
from training.teacher.space import check_fits
from training.teacher.teach import teach
from training.teacher.tuning import TuningOptions
from understudy.folders.errors import OutputUnwritableError
from understudy.graph import TextGraph, load_graph, save_graph
from understudy.graph.prompts import Prompt
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

NODES, CLASSES, HOPS = 60, 3, (0,)
FEATURES = 2_000  # 4 kB an answer, of which nobody knows before the first
PART = 16  # prompts
CHECKPOINT = 275_000  # bytes, of a tiny encoder: its tuned weights four times


class Showing:
    """Answers alike, with many features, and counts the questions."""

    digest = "showing"
    asked = 0

    @property
    def module(self) -> nn.Module:
        raise NotImplementedError("is not tuned")

    def loss(self, prompts: Sequence[Prompt], labels: Tensor) -> Tensor:
        raise NotImplementedError("is not tuned")

    def batches(self, prompts: Sequence[Prompt], tokens_per_batch: int) -> list[list[int]]:
        return [list(range(len(prompts)))]

    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        self.asked += len(prompts)
        shares = np.full((len(prompts), CLASSES), -np.log(CLASSES), np.float32)
        return Answers(shares, np.ones((len(prompts), FEATURES), np.float32))


@pytest.fixture
def graph(tmp_path: Path) -> TextGraph:
    found = synthetic_graph(SyntheticOptions(nodes=NODES, classes=CLASSES))
    save_graph(found, tmp_path / "graph")
    return load_graph(tmp_path / "graph")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk", megabytes=1) as folder:
        yield folder


def fill(disk: Path, left: int) -> Path:
    """Takes all room on the disk but some bytes."""
    filler = disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(disk).free - left))
    return filler


def test_answers_that_find_no_room_are_not_asked_for(tmp_path: Path, disk: Path) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=2_000, classes=CLASSES))
    save_graph(graph, tmp_path / "graph")
    model = write_tiny_encoder(tmp_path / "bert", graph.texts.to_pylist())
    options = TeachOptions(f"encoder:{model}", hops=(0, 1, 2), tuning=TuningOptions(epochs=1))
    filler = fill(disk, 100_000)
    stages: list[str] = []
    with pytest.raises(OutputUnwritableError, match=r"out needs about .* MB, but only .* are free"):
        teach(
            tmp_path / "graph",
            disk / "out",
            options,
            lambda stage, done, total: stages.append(stage),
        )
    assert set(stages) == {"Loading the teacher"}
    filler.unlink()
    assert [path.name for path in disk.iterdir() if path.name.startswith(".out.")] == []


def test_a_checkpoint_that_finds_no_room_is_told_before_tuning(
    tmp_path: Path, graph: TextGraph
) -> None:
    model = write_tiny_encoder(tmp_path / "bert", graph.texts.to_pylist())
    options = TeachOptions(f"encoder:{model}", hops=HOPS, tuning=TuningOptions(epochs=1))
    stages: list[str] = []

    def see(stage: str, done: float, total: float) -> None:
        stages.append(stage)

    with small_file_system(tmp_path / "disk", megabytes=3) as disk:
        filler = fill(disk, 2 * CHECKPOINT - 100_000)
        with pytest.raises(OutputUnwritableError, match=r"out needs about .* MB, but only"):
            teach(tmp_path / "graph", disk / "out", options, see)
        assert set(stages) == {"Loading the teacher"}
        filler.unlink()
        fill(disk, 2 * CHECKPOINT + 100_000)
        teach(tmp_path / "graph", disk / "out", options)
        assert (disk / "out" / "teacher.json").is_file()


def test_room_that_a_checkpoint_has_already_is_not_asked_for_again(
    tmp_path: Path, graph: TextGraph
) -> None:
    model = write_tiny_encoder(tmp_path / "bert", graph.texts.to_pylist())
    teacher = load_local(graph, TeachOptions(f"encoder:{model}", hops=HOPS))
    with small_file_system(tmp_path / "disk", megabytes=3) as disk:
        checkpoint = disk / "checkpoint"
        checkpoint.write_bytes(b"x" * 200_000)
        fill(disk, 2 * CHECKPOINT - 100_000)
        check_fits(disk / "out", 0, teacher, checkpoint)
        with pytest.raises(OutputUnwritableError):
            check_fits(disk / "out", 0, teacher, disk / "none-yet")


def test_parts_of_a_disk_that_runs_full_are_kept(
    tmp_path: Path, disk: Path, graph: TextGraph
) -> None:
    teacher = Showing()
    register_teacher("showing", lambda graph, options: teacher)
    try:
        options = TeachOptions(
            "showing", hops=HOPS, tuning=TuningOptions(epochs=0), part_prompts=PART
        )
        filler = fill(disk, 150_000)  # of two parts
        with pytest.raises(
            TeacherError,
            match=r"out cannot be written: no space is left there; finished work is kept in "
            r".*\.out\.\w+, and the same command resumes from there",
        ):
            teach(tmp_path / "graph", disk / "out", options)
        assert teacher.asked == 3 * PART
        filler.unlink()
        teach(tmp_path / "graph", disk / "out", options)
        assert teacher.asked == NODES + PART  # only the part without room is asked again
        _, answers = read_teacher(disk / "out", graph)
        assert answers.features is not None
        assert answers.features.shape == (1, NODES, FEATURES)
    finally:
        TEACHERS.entries.pop("showing")
