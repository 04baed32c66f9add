"""A graph network as the teacher."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.samples import CLASSES, NODES, small_graph
from training import student_teacher
from training.config import DistillOptions, StudentConfig, TrainingConfig
from training.distill import distill
from training.errors import EvaluationError, StaleTeacherError, TeacherError
from training.evaluation.plan import EvaluationOptions
from training.student.checkpoint import load_checkpoint
from training.student_teacher import teach
from training.teacher.answers.folder import read_teacher
from training.teacher.answers.views import make_targets
from training.teacher.defaults import teacher_kind
from training.teacher.options import TeachOptions
from understudy.folders import FolderChangedError
from understudy.graph import save_graph
from understudy.graph.files import file_digest
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.graph.splits import labeled_nodes

LOOP = TrainingConfig(epochs=15)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A graph, and a network that was trained on it."""
    home = tmp_path_factory.mktemp("student-teacher")
    save_graph(small_graph(), home / "graph")
    sage = DistillOptions(encoder="hashing", student=StudentConfig(hidden=16), training=LOOP)
    distill(home / "graph", home / "sage", sage)
    return home / "graph", home / "sage"


def test_a_student_that_is_replaced_while_it_is_read_is_told(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest would be of other weights than those that answered; half of each could be read."""
    graph_folder, sage = folders
    own = tmp_path / "own"
    shutil.copytree(sage, own)

    def replaced(path: Path) -> str:
        shutil.copytree(sage, tmp_path / "next")
        own.rename(tmp_path / "before")
        (tmp_path / "next").rename(own)
        return file_digest(path)

    monkeypatch.setattr(student_teacher, "file_digest", replaced)
    with pytest.raises(FolderChangedError, match="own was rewritten while it was read; run the"):
        teach(graph_folder, tmp_path / "teacher", TeachOptions(f"student:{own}"))
    assert not (tmp_path / "teacher").exists()


def test_a_network_teaches_one_without_messages(folders: tuple[Path, Path], tmp_path: Path) -> None:
    graph_folder, sage = folders
    info = teach(graph_folder, tmp_path / "teacher", TeachOptions(f"student:{sage}"))
    assert (info.kind, info.hops) == ("student", (2,))
    assert {"val_accuracy_hop2", "val_accuracy_smoothed", "val_propagation"} <= info.metrics.keys()
    graph = small_graph()
    _, answers = read_teacher(tmp_path / "teacher", graph)
    assert answers.log_probabilities.shape == (1, NODES, CLASSES)
    assert answers.features is not None
    assert answers.features.shape == (1, NODES, 16)
    val = labeled_nodes(graph, "val")
    right = answers.log_probabilities[0, val].argmax(axis=1) == graph.labels[val]
    assert float(right.mean()) == pytest.approx(load_checkpoint(sage).metrics["val_accuracy"])

    mlp = DistillOptions(
        encoder="hashing",
        student=StudentConfig(kind="mlp", hidden=16),
        training=LOOP,
        teacher=tmp_path / "teacher",
    )
    distill(graph_folder, tmp_path / "mlp", mlp)
    taught = load_checkpoint(tmp_path / "mlp").config
    assert set(taught.terms) == {"cross_entropy", "unlabeled", "lingugkd"}
    assert taught.teacher is not None
    assert taught.teacher.kind == "student"


def test_what_it_has_by_heart_is_not_learned_from(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    graph_folder, sage = folders
    info = teach(graph_folder, tmp_path / "teacher", TeachOptions(str(sage)))
    graph = small_graph()
    _, answers = read_teacher(tmp_path / "teacher", graph)
    train = labeled_nodes(graph, "train")
    np.testing.assert_array_equal(answers.tuned, train)
    assert not bool(make_targets(graph, info.hops, answers, "hop2").known[train].any())


def test_the_same_call_again_does_nothing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    graph_folder, sage = folders
    out = tmp_path / "teacher"
    info = teach(graph_folder, out, TeachOptions(str(sage)))
    written = (out / "teacher.json").stat().st_mtime_ns
    again = teach(graph_folder, out, TeachOptions(f"student:{sage}"))
    assert again.settings["fingerprint"] == info.settings["fingerprint"]
    assert (out / "teacher.json").stat().st_mtime_ns == written


def test_a_student_of_another_graph_or_split_is_refused(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    other = synthetic_graph(SyntheticOptions(nodes=NODES, classes=CLASSES, seed=7))
    save_graph(other, tmp_path / "other")
    with pytest.raises(StaleTeacherError, match="may test on nodes that were trained on"):
        teach(tmp_path / "other", tmp_path / "teacher", TeachOptions(f"student:{folders[1]}"))
    with pytest.raises(EvaluationError, match="a student has learned labels that other splits"):
        EvaluationOptions(teacher=TeachOptions(f"student:{folders[1]}"))


def test_a_students_folder_is_known_as_one(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, sage = folders
    assert teacher_kind(str(sage)) == teacher_kind(f"student:{sage}") == "student"
    with pytest.raises(TeacherError, match="is a student folder; `understudy teach GRAPH OUT"):
        read_teacher(sage, small_graph())
