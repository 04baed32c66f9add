"""Students on a GPU equal those of the processor; missing devices are refused."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.unit.training.samples import CLASSES, WIDTH, small_data, small_graph
from training.config import (
    LABELS,
    STUDENT_KINDS,
    DistillOptions,
    StudentConfig,
    TrainingConfig,
)
from training.data import Batch, whole_graph
from training.devices import StudentPrecision, found_device
from training.distill import distill, fit, placed
from training.encoders.features import EncoderSpec
from training.errors import DeviceError, TrainingError
from training.evaluation.plan import EvaluationOptions
from training.loop import step_loss
from training.losses.objectives import Objective, make_terms, register_objective
from training.student import by_rows
from training.student.checkpoint import CheckpointConfig
from training.student.network import Student, StudentOutput
from understudy.graph import save_graph

WITHOUT_CUDA = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA device"
)


def config(kind: str = "sage", **training: object) -> CheckpointConfig:
    return CheckpointConfig(
        student=StudentConfig(kind=kind, hidden=16, dropout=0.0),
        training=replace(TrainingConfig(epochs=3), **training),  # type: ignore[arg-type]
        encoder=EncoderSpec("minilm", "", "", WIDTH),
        graph_path="",
        graph_name="",
        graph_hash="",
        label_names=tuple(map(str, range(CLASSES))),
        terms={LABELS: 1.0, "kd": 1.0},
    )


@WITHOUT_CUDA
@pytest.mark.parametrize("batch_size", [0, 40])
@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_a_student_of_a_gpu_is_that_of_the_processor(kind: str, batch_size: int) -> None:
    here, there = (
        fit(config(kind, device=device, batch_size=batch_size), small_data())[0].state_dict()
        for device in ("cpu", "cuda")
    )
    for name, weight in here.items():
        torch.testing.assert_close(weight, there[name], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_bfloat16_is_of_products_alone_and_trains_much_the_same(kind: str) -> None:
    data, own = small_data(), config(kind)
    torch.manual_seed(0)
    student, _ = fit(own, data)
    terms = make_terms(own.terms, data, own.student, own.objectives)
    batch, found = whole_graph(data), []
    for mixed in (False, True):
        student.zero_grad()
        loss = step_loss(student, batch, terms, None, mixed)
        loss.backward()
        found.append((loss.detach(), [w.grad for w in student.parameters() if w.grad is not None]))
    (loss, gradients), (mixed_loss, mixed_gradients) = found
    assert loss.dtype == mixed_loss.dtype == torch.float32
    assert loss != mixed_loss
    torch.testing.assert_close(loss, mixed_loss, rtol=0.02, atol=0.0)
    assert all(gradient.dtype == torch.float32 for gradient in mixed_gradients)
    exact, rough = (torch.cat([g.flatten() for g in of]) for of in (gradients, mixed_gradients))
    assert 0 < float((exact - rough).norm()) < 0.15 * float(exact.norm())


def test_what_is_computed_again_in_bfloat16_is_what_was_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = []
    for kept in (2**24, 0):  # all blocks are kept for the gradient, or none
        monkeypatch.setattr(by_rows, "KEPT_NUMBERS", kept)
        found.append(fit(config(precision="bfloat16"), small_data())[0].state_dict())
    for name, weight in found[0].items():
        assert torch.equal(weight, found[1][name]), name


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "CPU"])
def test_what_names_no_device_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=f"--device {name}: give auto, cpu, cuda, or cuda:1"):
        TrainingConfig(device=name)


def test_a_device_that_is_not_here_is_refused_before_any_work(tmp_path: Path) -> None:
    beyond = f"cuda:{torch.cuda.device_count()}"
    save_graph(small_graph(), tmp_path / "graph")
    options = DistillOptions(training=TrainingConfig(device=beyond))
    with pytest.raises(DeviceError, match=f"--device {beyond}: torch finds .* CUDA devices here"):
        distill(tmp_path / "graph", tmp_path / "student", options)
    assert not (tmp_path / "student").exists()


class Large(Objective):
    """One that no device has room for."""

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> torch.Tensor:
        raise torch.OutOfMemoryError("Tried to allocate 9 GiB.\nSee the manual.")


def test_a_device_without_room_is_told_with_what_to_do() -> None:
    register_objective("large", lambda data, targets, student, options: Large())
    own = replace(config(device="cpu"), terms={LABELS: 1.0, "large": 1.0})
    message = "out of memory on cpu: Tried to allocate 9 GiB.; choose a smaller --batch-"
    with pytest.raises(DeviceError, match=message):
        fit(own, small_data())


def test_another_precision_is_refused() -> None:
    with pytest.raises(TrainingError, match="must be float32 or bfloat16, not 'float16'"):
        TrainingConfig(precision="float16")  # type: ignore[arg-type]


def test_a_device_that_was_found_is_told_and_one_that_was_said_is_not(tmp_path: Path) -> None:
    save_graph(small_graph(), tmp_path / "graph")
    reports: list[tuple[int, str]] = []
    found = placed(tmp_path / "graph", DistillOptions(), lambda *line: reports.append(line))
    there = str(found_device("auto"))
    assert (found.training.device, there) == (
        there,
        "cuda:0" if torch.cuda.is_available() else "cpu",
    )
    lines = [line for level, line in reports if level == logging.INFO]
    assert len(lines) == int(there != "cpu")
    assert all(line.startswith("training on cuda:0 (") for line in lines)


@pytest.mark.parametrize(("precision", "warned"), [("float32", False), ("bfloat16", True)])
def test_bfloat16_on_a_processor_is_told_to_be_slower(
    tmp_path: Path, precision: StudentPrecision, warned: bool
) -> None:
    save_graph(small_graph(), tmp_path / "graph")
    options = DistillOptions(training=TrainingConfig(device="cpu", precision=precision))
    lines: list[str] = []
    placed(tmp_path / "graph", options, lambda _, line: lines.append(line))
    assert any("bfloat16 is slower on most processors" in line for line in lines) == warned


def test_how_many_neighbors_are_drawn_is_told_to_be_unread_where_the_whole_graph_fits(
    tmp_path: Path,
) -> None:
    save_graph(small_graph(), tmp_path / "graph")
    reports: list[str] = []
    options = DistillOptions(training=TrainingConfig(fanout=3, device="cpu"), fitting=True)
    assert not placed(
        tmp_path / "graph", options, lambda _, line: reports.append(line)
    ).training.batch_size
    assert reports[-1] == "--fanout 3 has no effect: it applies only to batches"


def test_earlier_results_are_known_again_on_any_device_and_not_in_another_precision() -> None:
    kept = EvaluationOptions().fingerprint
    training = kept["training"]
    assert not {"device", "precision"} & training.keys()
    elsewhere = EvaluationOptions(training=TrainingConfig(device="cpu"))
    assert elsewhere.fingerprint == kept
    rough = EvaluationOptions(training=TrainingConfig(precision="bfloat16"))
    assert rough.fingerprint != kept
