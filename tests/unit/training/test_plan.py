"""Estimates grow with the work, and name their units."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file
from typer.testing import CliRunner

from tests.unit.training.samples import CLASSES, NODES, small_graph
from training.cli.plan import duration
from training.config import StudentConfig
from training.errors import DeviceError, TeacherError, TrainingError
from training.memory import KEPT_FROM, WORD_BYTES, GraphSize
from training.plan import Stage, advice, plan_stages, text_stage
from training.plan_options import PlanOptions, check_plan_options, parameters_of
from understudy.cli import build_app
from understudy.graph import save_graph

SIZE = GraphSize(nodes=2_000, edges=8_000, classes=5, text_bytes=200_000)
OPTIONS = PlanOptions(
    teacher="encoder",
    students=(StudentConfig(hidden=16), StudentConfig("mlp", hidden=16)),
    hashed=False,
    epochs=10,
    parameters=0.0,
    shown=384,
    questions=0,
    workers=1,
    machine_price=2.0,
    input_price=3.0,
    output_price=5.0,
    answers_a_second=4.0,
)
ROOMY = 1e15  # bytes


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return plan_stages(SIZE, OPTIONS, ROOMY)


def test_every_stage_has_its_line_and_its_price(stages: list[Stage]) -> None:
    assert [stage.name for stage in stages] == [
        *("encode texts", "teach"),
        *("distill sage", "export sage", "distill mlp", "export mlp"),
    ]
    for stage in stages:
        assert stage.seconds > 0
        assert stage.memory > 1e8
        assert stage.money == pytest.approx(stage.seconds / 3_600 * 2.0)
        assert stage.workers_seconds == stage.seconds
    assert advice(stages, OPTIONS) == [
        "one machine has enough memory for all stages: use the defaults"
    ]


def test_workers_share_questions_and_students() -> None:
    stages = {stage.name: stage for stage in plan_stages(SIZE, replace(OPTIONS, workers=4), ROOMY)}
    teach = stages["teach"]
    assert teach.workers_seconds == pytest.approx(teach.seconds / 4)
    distilling = stages["distill sage"]
    assert distilling.workers_seconds == distilling.seconds


def test_an_endpoint_costs_what_its_tokens_cost() -> None:
    options = replace(OPTIONS, teacher="openai:http://localhost#m", questions=100, students=())
    teach = plan_stages(SIZE, options, ROOMY)[1]
    assert teach.seconds == pytest.approx(100 / 4)
    assert teach.money == pytest.approx(100 * ((380 + 4 * 5) * 3.0 + 8 * 5.0) / 1e6)
    assert teach.disk == 100 * 5 * 4  # probabilities alone: an endpoint shows no features


def test_a_decision_endpoint_is_asked_about_many_labels_in_two_requests() -> None:
    options = replace(OPTIONS, teacher="decisions:http://localhost#m", students=())
    many, most = replace(SIZE, classes=300), replace(SIZE, classes=255)
    teach = plan_stages(many, options, ROOMY)[1]
    finalists = 2 * 16  # of two first questions
    tokens = 2 * 380 + 4 * (300 + finalists)
    assert teach.money == pytest.approx(2_000 * (tokens * 3.0 + 2 * 8 * 5.0) / 1e6)
    assert teach.seconds == pytest.approx(2 * 2_000 / 4)
    assert teach.remark == "2,000 questions of two requests each"
    limited = plan_stages(many, replace(options, questions=100), ROOMY)[1]
    assert limited.seconds == pytest.approx(2 * 100 / 4)
    assert limited.remark == "100 questions of two requests each"
    assert plan_stages(most, options, ROOMY)[1].seconds == pytest.approx(2_000 / 4)


def test_texts_of_a_large_graph_are_hashed_once_and_take_disk() -> None:
    hashing = replace(OPTIONS, hashed=True)
    small, large = replace(SIZE, text_bytes=KEPT_FROM - 1), replace(SIZE, text_bytes=KEPT_FROM)
    assert text_stage(small, hashing, 1e9).disk == 0
    assert text_stage(large, hashing, 1e9).disk == WORD_BYTES * KEPT_FROM


def test_where_memory_lacks_batches_are_told_and_days_of_asking_are_advised_against() -> None:
    huge = replace(SIZE, nodes=SIZE.nodes * 10_000, edges=SIZE.edges * 10_000)
    stages = plan_stages(huge, replace(OPTIONS, students=OPTIONS.students[1:]), 1e9)
    assert stages[2].remark.startswith("in batches, ")
    assert any("`teach --budget`" in line for line in advice(stages, OPTIONS))
    assert any("does not fit into memory" in line for line in advice(stages, OPTIONS))


def test_a_teacher_of_unknown_size_is_refused() -> None:
    with pytest.raises(TeacherError, match="--teacher-parameters"):
        check_plan_options(replace(OPTIONS, teacher="some/model"))
    check_plan_options(replace(OPTIONS, teacher="some/model", parameters=8e9))
    for name, value in (("parameters", math.nan), ("machine_price", math.inf)):
        with pytest.raises(TrainingError, match=r"--[a-z-]+ must be a number of at least 0, not"):
            check_plan_options(replace(OPTIONS, **{name: value}))  # type: ignore[arg-type]


def test_a_teacher_in_a_folder_is_as_large_as_its_weights(tmp_path: Path) -> None:
    """A larger encoder was planned for as if it were MiniLM."""
    weights: dict[str, NDArray[np.generic]] = {
        "embeddings": np.zeros((1_000, 64), np.float16),
        "bias": np.zeros(64, np.float32),
    }
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    for teacher in (f"encoder:{tmp_path}", str(tmp_path)):
        assert parameters_of(teacher) == 1_000 * 64 + 64
        check_plan_options(replace(OPTIONS, teacher=teacher))
    for unknown in (f"encoder:{tmp_path / 'nowhere'}", "gguf:model.gguf", "owner/model"):
        with pytest.raises(TeacherError, match="--teacher-parameters"):
            check_plan_options(replace(OPTIONS, teacher=unknown))
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs")
    with pytest.raises(TeacherError, match=r"model\.safetensors is damaged"):
        check_plan_options(replace(OPTIONS, teacher=str(tmp_path)))


def test_the_command_prints_a_table_with_units_and_what_was_assumed(tmp_path: Path) -> None:
    save_graph(small_graph(), tmp_path / "graph")
    words = ["plan", str(tmp_path / "graph"), "--students", "mlp, mlp", "--hidden", "16"]
    absent = CliRunner().invoke(build_app("plan"), [*words, "--device", "cuda:99"])
    assert isinstance(absent.exception, DeviceError)
    words += ["--device", "cpu"]
    result = CliRunner().invoke(build_app("plan"), words)
    assert result.exit_code == 0, result.output
    assert f"{NODES} nodes" in result.output
    assert f"{CLASSES} classes" in result.output
    assert " MB" in result.output
    assert result.output.count("distill mlp") == 1
    assert "an epoch of each network on a random graph on cpu" in " ".join(result.output.split())
    assert "assumed: 100 epochs" in result.output
    assert "choose: " in result.output
    assert "--fanout" not in result.output
    result = CliRunner().invoke(build_app("plan"), [*words, "--fanout", "3"])
    assert "--fanout 3 has no effect: every student trains on the whole graph" in result.output


def test_durations_are_told_in_the_largest_unit_that_fits() -> None:
    durations = [duration(seconds) for seconds in (0.5, 90.0, 7_200.0, 260_000.0)]
    assert durations == ["0.5 s", "1.5 min", "2.0 h", "3.0 days"]
