"""Calibration is fitted on the stored logits, and the bundle records the teacher."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from export.calibration import served_calibration, served_record
from tests.unit.training.samples import small_graph
from training.calibration import Calibration
from training.config import StudentConfig, TrainingConfig
from training.encoders.features import encoder_spec
from training.student.checkpoint import Checkpoint, CheckpointConfig, build_student
from training.teacher.answers.views import ServedTeacher, TeacherRecord
from understudy.graph.prompts import WORDING, PromptOptions

RECORD = TeacherRecord("causal", "m", "h", "w", "p", WORDING, 1, asdict(PromptOptions()), 99, 0.5)


def checkpoint(calibration: Calibration, served: ServedTeacher | None = None) -> Checkpoint:
    graph = small_graph()
    config = CheckpointConfig(
        StudentConfig(hidden=4),
        TrainingConfig(),
        encoder_spec("minilm"),
        "graph",
        graph.name,
        graph.content_hash,
        graph.label_names,
    )
    torch.manual_seed(0)
    return Checkpoint(config, build_student(config), {}, calibration, served)


def test_the_temperature_is_that_of_the_stored_logits() -> None:
    graph = small_graph()
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(graph.num_nodes, graph.num_classes))
    logits = (np.eye(graph.num_classes)[graph.labels] + noise).astype(np.float32)
    trained = checkpoint(Calibration(temperature=5.0, wanted=0.5))
    found = served_calibration(trained, graph, logits)
    twice = served_calibration(trained, graph, 2 * logits)
    assert found.temperature != pytest.approx(5.0, abs=0.5)
    assert twice.temperature == pytest.approx(2 * found.temperature, rel=1e-3)
    assert found.wanted == 0.5
    assert found.deferral is not None
    assert found.deferral.threshold is None


def test_the_rule_is_decided_with_the_stored_logits_and_the_measured_teacher() -> None:
    graph = small_graph()
    everyone = np.arange(graph.num_nodes)
    graph = replace(graph, splits={"train": everyone[:3], "val": everyone[3:]})
    wrong = np.eye(graph.num_classes, dtype=np.float32)[(graph.labels + 1) % 3]
    asked = tuple(everyone[3:].tolist())
    served = ServedTeacher(RECORD, 1, asked, (True,) * len(asked))
    found = served_calibration(checkpoint(Calibration(), served), graph, wrong).deferral
    assert found is not None
    assert found.threshold is not None
    assert (found.student, found.teacher, found.system) == (0, 1, 1)
    assert (found.wins, found.losses, found.nodes) == (len(asked), 0, len(asked))


def test_the_record_is_the_same_in_a_bundle() -> None:
    found = served_record(ServedTeacher(RECORD, 1))
    assert found is not None
    names = found.__struct_fields__
    assert {name: getattr(found, name) for name in names} == asdict(RECORD)
    assert served_record(None) is None


def test_a_graph_without_validation_nodes_keeps_the_calibration() -> None:
    graph = small_graph()
    graph = replace(graph, splits={"train": graph.splits["train"]})
    logits = np.zeros((graph.num_nodes, graph.num_classes), np.float32)
    found = served_calibration(checkpoint(Calibration(temperature=5.0)), graph, logits)
    assert found.temperature == 5.0
