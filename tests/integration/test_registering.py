"""Registered students and objectives: trained, exported, or refused in a line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.bundle import export_bundle
from export.checks.parity import check_shapes, check_whole
from export.errors import ExportError
from export.options import ExportOptions
from export.student.blocks import weighting_of
from export.student.files import export_student
from tests.unit.training.samples import CLASSES, NODES, WIDTH, small_data, small_graph
from training.calibration import Calibration
from training.config import ObjectiveOptions, Registry, StudentConfig, TrainingConfig
from training.data import Batch, Edges, GraphData, Targets
from training.encoders.features import encoder_spec
from training.errors import TrainingError
from training.loop import predict, train
from training.losses.objectives import (
    MAKERS,
    Objective,
    Term,
    make_terms,
    nothing,
    register_objective,
)
from training.student.checkpoint import CheckpointConfig, build_student, save_checkpoint
from training.student.network import STUDENTS, Student, StudentOutput, register_student
from training.teacher.answers.folder import ANSWERS_FILE, read_teacher
from training.teacher.defaults import LOCAL_KINDS
from training.teacher.local import TEACHERS, register_teacher
from training.teacher.options import TeachOptions
from training.teacher.protocol import Answers
from training.teacher.teach import teach
from training.teacher.tuning import TuningOptions
from understudy.bundle.manifest import StudentInfo
from understudy.bundle.student import WHOLE_FILE
from understudy.graph import TextGraph, save_graph
from understudy.graph.layers.neighborhoods import Weighting
from understudy.graph.prompts import Prompt


class Gated(nn.Module):
    """A node's own row, and its neighbours' as far as a gate lets them in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.gate = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h: Tensor, aggregated: Tensor) -> Tensor:
        return cast(Tensor, self.own(h) + torch.sigmoid(self.gate(h)) * aggregated)


class Farthest(nn.Module):
    """Reads the edges as it likes: the largest value among a node's neighbours."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Linear(width, width)

    def forward(self, h: Tensor, edges: Edges) -> Tensor:
        sources, targets = edges.edge_index
        index = targets[:, None].expand(-1, h.shape[1])
        largest = torch.zeros_like(h).scatter_reduce(0, index, h[sources], "amax")
        return cast(Tensor, self.own(h) + largest)


class Smallness(Objective):
    """Small logits, whatever the labels."""

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        if not len(batch.train):
            return nothing(output)
        return output.logits[batch.train].square().mean()


class ByLength:
    """Tells a prompt's class by its length, and cannot be tuned."""

    digest = "by-length"

    @property
    def module(self) -> nn.Module:
        raise NotImplementedError

    def loss(self, prompts: Sequence[Prompt], labels: Tensor) -> Tensor:
        raise NotImplementedError

    def batches(self, prompts: Sequence[Prompt], tokens_per_batch: int) -> list[list[int]]:
        return [[index] for index in range(len(prompts))]

    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        classes = [len(prompt.description) % CLASSES for prompt in prompts]
        shares = np.full((len(prompts), CLASSES), 0.05, dtype=np.float32)
        shares[np.arange(len(prompts)), classes] = 1 - 0.05 * (CLASSES - 1)
        return Answers(np.log(shares))


@pytest.fixture(autouse=True)
def as_they_were() -> Iterator[None]:
    """What a test registers is forgotten."""
    registries: list[Registry[Any]] = [STUDENTS, MAKERS, TEACHERS]
    before, kinds = [dict(registry.entries) for registry in registries], set(LOCAL_KINDS)
    yield
    for registry, entries in zip(registries, before, strict=True):
        registry.entries = entries
    LOCAL_KINDS.intersection_update(kinds)


def trained(kind: str, batch_size: int = 0, layers: int = 2) -> tuple[Student, list[float]]:
    torch.manual_seed(0)
    of_student = StudentConfig(kind=kind, hidden=16, layers=layers, dropout=0.0)
    student = Student(of_student, WIDTH, CLASSES, hashed=False)
    data = small_data()
    config = TrainingConfig(epochs=8, batch_size=batch_size)
    terms = make_terms({"cross_entropy": 1.0}, data, student.config, ObjectiveOptions())
    return student, [epoch.loss for epoch in train(student, data, terms, config).epochs]


@pytest.mark.parametrize("weighting", ["mean", "sum", "symmetric"])
def test_a_student_with_a_weighting_is_trained_and_exported(
    tmp_path: Path, weighting: Weighting
) -> None:
    register_student("gated", lambda config: Gated(config.hidden), weighting)
    student, losses = trained("gated", layers=1)  # what is exported takes seconds
    assert losses[-1] < losses[0]
    export_student(student, tmp_path / "student", whole=True)
    info = StudentInfo("gated", weighting_of("gated"), 1, 16, 0)
    assert check_shapes(student, tmp_path, info) < 1e-4
    assert check_whole(student, tmp_path / WHOLE_FILE) < 1e-4


@pytest.mark.parametrize("batch_size", [0, 16])
def test_a_student_without_one_is_trained_and_refused_by_export(
    tmp_path: Path, batch_size: int
) -> None:
    register_student("farthest", lambda config: Farthest(config.hidden), None)
    _, losses = trained("farthest", batch_size)
    assert losses[-1] < losses[0]
    config = CheckpointConfig(
        StudentConfig(kind="farthest", hidden=16),
        TrainingConfig(),
        encoder_spec("hashing"),
        str(tmp_path / "no graph"),  # which export does not come to read
        "",
        "",
        ("a", "b"),
    )
    student = build_student(config)
    training = train(Student(config.student, WIDTH, CLASSES, False), *one_epoch(config))
    save_checkpoint(tmp_path / "student", config, student, training, {}, Calibration())
    with pytest.raises(ExportError, match="'farthest' cannot be exported: it was registered"):
        export_bundle(tmp_path / "student", tmp_path / "bundle", ExportOptions())


def one_epoch(config: CheckpointConfig) -> tuple[GraphData, list[Term], TrainingConfig]:
    data = small_data()
    terms = make_terms({"cross_entropy": 1.0}, data, config.student, ObjectiveOptions())
    return data, terms, TrainingConfig(epochs=1)


def test_an_objective_is_weighed_by_its_name() -> None:
    def make(
        data: GraphData, targets: Targets, student: StudentConfig, options: ObjectiveOptions
    ) -> Objective:
        return Smallness()

    register_objective("smallness", make)
    sizes = []
    for weight in (0.0, 5.0):
        torch.manual_seed(0)
        student = Student(StudentConfig(hidden=16, dropout=0.0), WIDTH, CLASSES, hashed=False)
        data = small_data()
        weights = {"cross_entropy": 1.0, "smallness": weight}
        terms = make_terms(weights, data, student.config, ObjectiveOptions())
        train(student, data, terms, TrainingConfig(epochs=20))
        sizes.append(float(predict(student, data).square().mean()))
    assert sizes[1] < 0.5 * sizes[0]


def test_a_registered_teacher_is_asked_about_every_node(tmp_path: Path) -> None:
    def load(graph: TextGraph, options: TeachOptions) -> ByLength:
        return ByLength()

    register_teacher("length", load)
    graph = small_graph()
    save_graph(graph, tmp_path / "graph")
    options = TeachOptions(teacher="length:any", hops=(0,), tuning=TuningOptions(epochs=0))
    teach(tmp_path / "graph", tmp_path / "teacher", options)
    info, answers = read_teacher(tmp_path / "teacher", graph)
    assert (info.kind, info.model) == ("length", "length:any")
    assert answers.log_probabilities.shape == (1, NODES, CLASSES)
    assert len(set(answers.log_probabilities[0].argmax(axis=1).tolist())) == CLASSES


def test_a_taken_or_unknown_name_is_told() -> None:
    for name in ("encoder", "openai", "causal", "a:b"):
        with pytest.raises(TrainingError, match="already"):
            register_teacher(name, lambda graph, options: ByLength())
    with pytest.raises(TrainingError, match="the student 'sage' exists already"):
        register_student("sage", lambda config: Gated(config.hidden), "mean")
    with pytest.raises(TrainingError, match="'mask' is GAT's alone"):
        register_student("own", lambda config: Gated(config.hidden), "mask")
    with pytest.raises(TrainingError, match="the objective 'kd' exists already"):
        register_objective("kd", MAKERS["bd"].make)
    with pytest.raises(TrainingError, match="unknown student 'sagee'; choose from sage, gcn"):
        Student(StudentConfig(kind="sagee"), WIDTH, CLASSES, hashed=False)


def test_a_teacher_whose_answers_were_lost_is_asked_again(tmp_path: Path) -> None:
    register_teacher("length", lambda graph, options: ByLength())
    graph = small_graph()
    save_graph(graph, tmp_path / "graph")
    options = TeachOptions(teacher="length", hops=(0,), tuning=TuningOptions(epochs=0))
    teach(tmp_path / "graph", tmp_path / "teacher", options)
    _, answers = read_teacher(tmp_path / "teacher", graph)
    path = tmp_path / "teacher" / ANSWERS_FILE
    for left in (None, 100):
        if left is None:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:left])
        teach(tmp_path / "graph", tmp_path / "teacher", options)
        _, again = read_teacher(tmp_path / "teacher", graph)
        np.testing.assert_array_equal(again.log_probabilities, answers.log_probabilities)
