"""What export cannot do is told before it computes anything."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.bundle import export_bundle
from export.options import ExportOptions
from tests.unit.training.samples import NODES, small_graph
from training.calibration import Calibration
from training.config import DistillOptions, Epoch, StudentConfig, Training
from training.distill import checkpoint_config
from training.encoders.features import embeddings_file
from training.errors import EncoderError
from training.student.checkpoint import build_student, save_checkpoint
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
