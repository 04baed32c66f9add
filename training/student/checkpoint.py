"""A trained student on disk: student.safetensors, config.json, metrics.json and curves.json.

calibration.json calibrates the student's confidences; format 1 lacks it. Format 3 adds the graph's
lineage. If the student has a teacher that a server can replace, served_teacher.json says how it is
asked.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors

from training.beginning import REMEDY
from training.calibration import Calibration
from training.config import ObjectiveOptions, StudentConfig, Training, TrainingConfig
from training.deferral import Deferral
from training.encoders.features import EncoderSpec
from training.errors import CheckpointError, TrainingError
from training.student.network import Student
from training.teacher.answers.views import ServedTeacher, TeacherRecord
from training.teacher.defaults import STUDENT_WEIGHTS
from training.weights import read_weights, save_weights
from understudy.folders import atomic_folder, unchanged
from understudy.folders.places import path_problem
from understudy.graph.files import check_readable, write_json
from understudy.graph.lineage import Lineage, parse_lineage

FORMAT_VERSION = 3
SERVED_FILE = "served_teacher.json"


@dataclass(frozen=True, slots=True)
class TeacherSource:
    """The teacher that a student learned from."""

    path: str  # absolute path of its folder
    kind: str  # encoder, causal or endpoint
    model: str
    fingerprint: str  # of everything that its answers depend on
    view: str  # which of its hops, or which combination of them
    view_named: bool = False  # chosen by name; otherwise it was best on validation


@dataclass(frozen=True, slots=True)
class CheckpointConfig:
    """Everything that is needed to rebuild the student and to find its graph."""

    student: StudentConfig
    training: TrainingConfig
    encoder: EncoderSpec
    graph_path: str  # absolute path of the graph folder at the time of training
    graph_name: str
    graph_hash: str
    label_names: tuple[str, ...]
    terms: Mapping[str, float] = field(default_factory=lambda: {"cross_entropy": 1.0})  # weights
    objectives: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    teacher: TeacherSource | None = None
    lineage: Lineage | None = None  # of the graph; None before format 3
    format_version: int = FORMAT_VERSION


# Errors of files that were truncated or edited; TrainingError: an invalid value.
DAMAGE = (
    *(OSError, ValueError, TypeError, KeyError, OverflowError, RuntimeError),
    *(AttributeError, TrainingError, safetensors.SafetensorError),
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    config: CheckpointConfig
    student: Student  # in evaluation mode
    metrics: dict[str, float]
    calibration: Calibration = field(default_factory=Calibration)
    served: ServedTeacher | None = None


def build_student(config: CheckpointConfig) -> Student:
    """A student of the config's shape with fresh weights."""
    hashed = config.encoder.kind == "hashing"
    return Student(config.student, config.encoder.dimension, len(config.label_names), hashed)


def save_checkpoint(
    folder: Path,
    config: CheckpointConfig,
    student: Student,
    training: Training,
    metrics: Mapping[str, float],
    calibration: Calibration,
    served: ServedTeacher | None = None,
) -> None:
    """Writes the folder, replacing what is there once the new one is complete."""
    state = {name: tensor.contiguous() for name, tensor in student.state_dict().items()}
    with atomic_folder(folder) as temporary:
        save_weights(state, temporary / STUDENT_WEIGHTS)
        write_json(temporary / "config.json", asdict(config))
        write_json(temporary / "metrics.json", dict(metrics))
        write_json(temporary / "calibration.json", asdict(calibration))
        if served is not None:
            write_json(temporary / SERVED_FILE, asdict(served))
        write_json(temporary / "curves.json", [asdict(epoch) for epoch in training.epochs])


def load_checkpoint(folder: Path) -> Checkpoint:
    """Reads a student folder.

    Raises:
        CheckpointError: not a student folder, damaged, or of a newer format.
        FolderChangedError: it was replaced meanwhile.
    """
    path = folder / "config.json"
    if not path.is_file():
        problem = path_problem(folder) or (
            f"{folder} is not a student folder (no config.json); make one with `understudy distill`"
        )
        raise CheckpointError(problem)
    with unchanged(folder):
        with reading(path):
            config = parse_config(json.loads(path.read_text(encoding="utf-8")))
            student = build_student(config)
        with reading(folder / STUDENT_WEIGHTS) as weights:
            student.load_state_dict(read_weights(weights))
        with reading(folder / "metrics.json") as measured:
            metrics = dict(json.loads(measured.read_text(encoding="utf-8")))
        with reading(folder / "calibration.json") as calibrated:
            if config.format_version > 1:
                check_readable(calibrated)
            calibration = read_calibration(calibrated)
        with reading(folder / SERVED_FILE) as asked:
            if calibration.deferral.nodes:  # measured, so there was a teacher to serve
                check_readable(asked)
            served = read_served(asked)
    return Checkpoint(config, student.eval(), metrics, calibration, served)


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Names the file of a student folder that cannot be read.

    Raises:
        CheckpointError: replaces every error of a missing, truncated or edited file.
    """
    try:
        yield path
    except CheckpointError:
        raise
    except PermissionError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path.parent} is damaged: {path.name} is missing; {REMEDY}"
        ) from error
    except DAMAGE as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} is damaged: {reason}; {REMEDY}") from error


def parse_config(value: dict[str, Any]) -> CheckpointConfig:
    version = value["format_version"]
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"the student has format {version}, this release reads up to {FORMAT_VERSION}; "
            "update understudy"
        )
    parts = {
        "student": StudentConfig(**value["student"]),
        "training": TrainingConfig(**value["training"]),
        "encoder": EncoderSpec(**value["encoder"]),
        "label_names": tuple(value["label_names"]),
        "objectives": ObjectiveOptions(**value.get("objectives", {})),
        "teacher": TeacherSource(**value["teacher"]) if value.get("teacher") else None,
        "lineage": parse_lineage(value["lineage"]) if value.get("lineage") else None,
    }
    return CheckpointConfig(**{**value, **parts})


def read_calibration(path: Path) -> Calibration:
    """The calibration; the default for a folder of format 1."""
    if not path.is_file():
        return Calibration()
    value = json.loads(path.read_text(encoding="utf-8"))
    curve = tuple((float(coverage), float(risk)) for coverage, risk in value["risk_coverage"])
    parts: dict[str, Any] = {"risk_coverage": curve}
    if "deferral" in value:
        parts["deferral"] = Deferral(**value["deferral"])
    return Calibration(**{**value, **parts})


def read_served(path: Path) -> ServedTeacher | None:
    """How the teacher is asked; None if the folder has no record."""
    if not path.is_file():
        return None
    value = json.loads(path.read_text(encoding="utf-8"))
    record = TeacherRecord(**value["record"])
    tuples = {name: tuple(value[name]) for name in ("nodes", "right")}
    return ServedTeacher(**{**value, **tuples, "record": record})
