"""A student whose training diverged in its last step."""

from pathlib import Path

import pytest

from training.config import DistillOptions, StudentConfig, TrainingConfig
from training.distill import distill
from training.errors import DivergedError
from understudy.graph.folder import save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def test_a_student_that_says_no_numbers_is_not_written(tmp_path: Path) -> None:
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3)), tmp_path / "graph")
    options = DistillOptions(
        encoder="hashing",
        student=StudentConfig(hidden=8),
        training=TrainingConfig(epochs=1, learning_rate=1e38),
    )
    with pytest.raises(DivergedError, match="lower --learning-rate"):
        distill(tmp_path / "graph", tmp_path / "student", options)
    assert not (tmp_path / "student").exists()
