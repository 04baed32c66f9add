"""A tiny Llama is tuned, asked, distilled, exported, and its student answers."""

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from export.bundle import export_bundle
from export.options import ExportOptions
from tests.language_models import write_tiny_llama
from training.config import DistillOptions, StudentConfig, TrainingConfig
from training.distill import distill
from training.errors import (
    StaleTeacherError,
    TeacherError,
    TrainingError,
)
from training.student.checkpoint import load_checkpoint
from training.teacher.answers.folder import HopAnswers, read_info, write_teacher
from training.teacher.answers.smoothing import with_smoothed_view
from training.teacher.causal import CausalOptions
from training.teacher.options import TeachOptions
from training.teacher.teach import teach
from training.teacher.tuning import TuningOptions
from understudy.bundle import open_bundle
from understudy.folders import OutputRefusedError
from understudy.graph import load_graph, save_graph
from understudy.graph.errors import UntrainableError
from understudy.graph.prompts import PromptOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A graph, and a teacher of it."""
    home = tmp_path_factory.mktemp("whole")
    save_graph(synthetic_graph(SyntheticOptions(nodes=80, classes=3)), home / "graph")
    words = load_graph(home / "graph").texts.to_pylist()
    options = TeachOptions(
        str(write_tiny_llama(home / "llama", words)),
        prompts=PromptOptions(tokens=24),
        tuning=TuningOptions(epochs=1, batch_size=8, learning_rate=1e-3, validation_nodes=8),
        causal=CausalOptions(rank=4),
    )
    teach(home / "graph", home / "teacher", options)
    return home / "graph", home / "teacher"


@pytest.mark.timeout(900)  # exporting alone takes minutes on a busy machine
def test_the_whole_way(folders: tuple[Path, Path], tmp_path: Path) -> None:
    graph, teacher = folders
    options = DistillOptions(
        encoder="hashing",
        student=StudentConfig(kind="sage", hidden=16),
        training=TrainingConfig(epochs=6),
        teacher=teacher,
        auto_accuracy=0.5,
    )
    metrics = distill(graph, tmp_path / "student", options)
    assert metrics["epochs"] == 6
    checkpoint = load_checkpoint(tmp_path / "student")
    assert set(checkpoint.config.terms) == {"cross_entropy", "unlabeled", "lingugkd"}
    assert checkpoint.config.teacher is not None
    assert checkpoint.config.teacher.kind == "causal"
    assert checkpoint.calibration.risk_coverage
    assert not [name for name in checkpoint.student.state_dict() if "project" in name]

    manifest = export_bundle(tmp_path / "student", tmp_path / "bundle", ExportOptions())
    assert manifest.calibration.temperature == pytest.approx(checkpoint.calibration.temperature)
    assert manifest.calibration.threshold == pytest.approx(checkpoint.calibration.threshold)
    assert manifest.calibration.risk_coverage == checkpoint.calibration.risk_coverage
    assert checkpoint.served is not None
    record, teacher_info = manifest.teacher, read_info(teacher)
    assert record is not None
    assert (record.kind, record.model_hash) == ("causal", teacher_info.model_hash)
    assert record.prompts["tokens"] == 24
    assert record.prompt_hash == teacher_info.prompt_hash
    assert record.accuracy == max(teacher_info.metrics[f"val_accuracy_hop{n}"] for n in (0, 1, 2))
    assert teacher_info.metrics[f"val_accuracy_hop{record.hops}"] == record.accuracy
    rule = manifest.calibration.deferral
    assert rule is not None
    assert rule.nodes == record.nodes == len(checkpoint.served.nodes) > 0
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.calibration == manifest.calibration


def test_teachers_of_other_graphs_and_no_teachers_are_told(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    other = synthetic_graph(SyntheticOptions(nodes=80, classes=3, seed=1))
    save_graph(other, tmp_path / "other")
    options = DistillOptions(encoder="hashing", teacher=folders[1])
    with pytest.raises(StaleTeacherError, match="understudy teach"):
        distill(tmp_path / "other", tmp_path / "student", options)
    with pytest.raises(TeacherError, match="not a teacher folder"):
        distill(folders[0], tmp_path / "student", DistillOptions(teacher=tmp_path / "nowhere"))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "diary.txt").write_text("dear diary")
    with pytest.raises(OutputRefusedError, match=r"diary\.txt"):
        distill(folders[0], tmp_path / "taken", options)


def test_a_teacher_that_was_asked_about_few_nodes_teaches_about_those_that_edges_lead_to(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    answers = load_file(folders[1] / "answers.safetensors")
    few = tmp_path / "few"
    few.mkdir()
    info = read_info(folders[1])
    hops, nodes = answers["log_probabilities"], answers["nodes"][::4]
    part = HopAnswers(nodes, hops[:, ::4])
    write_teacher(few, info, with_smoothed_view(load_graph(folders[0]), info.hops, part))
    options = DistillOptions(
        encoder="hashing",
        student=StudentConfig(hidden=16),
        training=TrainingConfig(epochs=4),
        teacher=few,
        view="reached",
    )
    distill(folders[0], tmp_path / "student", options)
    source = load_checkpoint(tmp_path / "student").config.teacher
    assert source is not None
    assert source.view == "reached"
    with pytest.raises(TeacherError, match="no view 'reached'"):
        distill(folders[0], tmp_path / "other", replace(options, teacher=folders[1]))


def test_a_comparison_keeps_what_is_best_on_validation(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    graph, teacher = folders
    options = DistillOptions(
        encoder="hashing",
        student=StudentConfig(hidden=16),
        training=TrainingConfig(epochs=4),
        teacher=teacher,
        compare=True,
    )
    metrics = distill(graph, tmp_path / "student", options)
    compared = {
        name: metrics[f"val_accuracy_{name}"] for name in ("alone", "features", "taught")
    } | {"unsmoothed": metrics.get("val_accuracy_unsmoothed", -1.0)}
    assert metrics["val_accuracy"] == pytest.approx(max(compared.values()))
    kept = max(compared, key=lambda name: compared[name])
    checkpoint = load_checkpoint(tmp_path / "student")
    assert (checkpoint.config.teacher is None) == (kept == "alone")
    assert ("lingugkd" in checkpoint.config.terms) == (kept != "alone")

    alone = replace(options, teacher=None, compare=False)
    assert distill(graph, tmp_path / "alone", alone)["val_accuracy"] == compared["alone"]
    with pytest.raises(TrainingError, match="--compare needs a teacher"):
        distill(graph, tmp_path / "other", replace(options, teacher=None))


def test_a_class_without_training_nodes_is_told(tmp_path: Path) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=80, classes=3))
    graph.labels[graph.labels == 2] = 1
    save_graph(graph, tmp_path / "graph")
    for work in (
        lambda: teach(tmp_path / "graph", tmp_path / "t", TeachOptions()),
        lambda: distill(tmp_path / "graph", tmp_path / "s", DistillOptions("hashing")),
    ):
        with pytest.raises(UntrainableError, match="no training node of"):
            work()
