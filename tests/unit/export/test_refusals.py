"""Exports that cannot succeed are refused before any computation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.bundle import export_bundle
from export.errors import ExportError, StaleError
from export.options import ExportOptions
from export.student.blocks import weighting_of
from tests.unit.training.samples import NODES, small_graph
from training.calibration import Calibration
from training.config import DistillOptions, Epoch, StudentConfig, Training
from training.distill import checkpoint_config
from training.encoders.features import embeddings_file
from training.errors import EncoderError
from training.student.checkpoint import build_student, save_checkpoint
from understudy.bundle.manifest import WEIGHTINGS
from understudy.cli import main
from understudy.graph import save_graph


def test_a_missing_encoder_is_told_though_the_embeddings_are_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    graph = small_graph()
    save_graph(graph, tmp_path / "graph")
    file = embeddings_file(graph)
    file.parent.mkdir(parents=True)
    np.save(file, np.zeros((NODES, 384), dtype=np.float32))
    options = DistillOptions(student=StudentConfig(hidden=16))
    config = replace(checkpoint_config(tmp_path / "graph", graph, options), terms={})
    training = Training([Epoch(1.0, 0.5, 0.5)], 0, 1.0)
    student = tmp_path / "student"
    save_checkpoint(student, config, build_student(config), training, {}, Calibration())
    done: list[str] = []
    with pytest.raises(EncoderError, match=r"was not found in .*nowhere"):
        export_bundle(
            student,
            tmp_path / "bundle",
            ExportOptions(encoder_path=tmp_path / "nowhere"),
            lambda stage, count, total: done.append(stage),
        )
    assert done == []


def test_labels_in_another_order_than_the_graphs_are_refused(tmp_path: Path) -> None:
    graph = small_graph()
    save_graph(graph, tmp_path / "graph")
    options = DistillOptions(encoder="hashing", student=StudentConfig(hidden=16))
    usual = replace(checkpoint_config(tmp_path / "graph", graph, options), terms={})
    config = replace(usual, label_names=tuple(reversed(graph.label_names)))
    training = Training([Epoch(1.0, 0.5, 0.5)], 0, 1.0)
    student = tmp_path / "student"
    save_checkpoint(student, config, build_student(config), training, {}, Calibration())
    with pytest.raises(StaleError, match="names other labels than the graph, or in another order"):
        export_bundle(student, tmp_path / "bundle", ExportOptions())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder_precision": "INT8"}, "unknown encoder precision 'INT8'; choose from auto, "),
        ({"student_precisions": ("int8", "int4")}, "unknown precision 'int4'"),
        ({"name": " "}, "must be a line of text, not ' '"),
        ({"name": "two\nlines"}, r"must be a line of text, not 'two\\nlines'"),
        ({"name": "n" * 201}, "a model's name has 201 characters; at most 200"),
    ],
)
def test_words_that_nothing_knows_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        ExportOptions(**options)


def test_a_precision_said_twice_is_written_once() -> None:
    assert ExportOptions(student_precisions=("fp16", "int8", "fp16")).student_precisions == (
        "fp16",
        "int8",
    )


@pytest.mark.parametrize(
    ("options", "unread"),
    [
        (ExportOptions(encoder_precision="int8"), "--encoder-precision int8"),
        (ExportOptions(encoder_path=Path("m")), "--encoder-path"),
    ],
)
def test_hashed_texts_have_no_encoder_to_say_something_of(
    options: ExportOptions, unread: str
) -> None:
    with pytest.raises(ExportError, match=f"reads hashed texts .* leave {unread} out"):
        options.check_encoder("hashing")
    options.check_encoder("minilm")
    ExportOptions(encoder_precision="fp32").check_encoder("hashing")  # which is what it has


def test_a_graph_that_was_moved_is_asked_for(tmp_path: Path) -> None:
    moved = tmp_path / "graph"
    with pytest.raises(StaleError, match="graph folder; give its new place"):
        ExportOptions().graph_folder(str(tmp_path / "before"))
    assert ExportOptions(graph=moved).graph_folder(str(tmp_path / "before")) == moved


@pytest.mark.parametrize(
    ("words", "unread"),
    [
        (["--check", "b", "--name", "x", "--workers", "2", "--ray", "local"], "--name, --ray, --"),
        (["student", "bundle", "--check", "b"], "student"),
        (["bundle", "--triton", "t", "--graph", "g", "--encoder-precision", "int8"], "--graph, --"),
        (["bundle", "--triton", "t", "--ray", "local"], "--ray"),
    ],
)
def test_options_that_nothing_reads_are_refused(
    words: list[str], unread: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["export", *words])
    assert stopped.value.code == 1
    assert f": leave {unread}" in capsys.readouterr().err


def test_a_bundle_s_reader_knows_the_weightings_that_are_exported() -> None:
    assert {kind: weighting_of(kind) for kind in WEIGHTINGS} == WEIGHTINGS
