"""Untrained students and their exported files, small enough to export in a test."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from export.checks.parity import student_forms
from export.student.blocks import weighting_of
from export.student.files import export_student
from tests.shared_folder import shared_folder
from training.config import StudentConfig, StudentKind
from training.student.network import HashedInput, Student
from understudy.bundle import StudentInfo
from understudy.bundle.sessions import Network
from understudy.bundle.student import WHOLE_FILE, StudentNetwork
from understudy.folders.turns import taking_turns
from understudy.graph.csr import Adjacency, build_adjacency
from understudy.graph.layers.neighborhoods import Weighting

DIMENSION, BUCKETS, CLASSES = 24, 256, 3


@dataclass(frozen=True)
class ExportedStudent:
    student: Student
    folder: Path
    info: StudentInfo

    @property
    def weighting(self) -> Weighting:
        return cast(Weighting, self.info.weighting)

    @cached_property
    def forms(self) -> list[StudentNetwork]:
        """As it is run on a CPU, and with layers that gather."""
        return student_forms(self.folder, self.info)

    @cached_property
    def whole(self) -> Network:
        return Network(self.folder / WHOLE_FILE)


def small_student(kind: StudentKind, layers: int = 2) -> StudentConfig:
    """Of two layers, where one could hide an error: hops add up, and attention is not linear."""
    return StudentConfig(kind=kind, layers=layers, hidden=16)


def random_student(
    config: StudentConfig, inputs: int = BUCKETS, classes: int = CLASSES, hashed: bool = True
) -> Student:
    """A student that was never trained; `inputs` are buckets, or the width of embeddings."""
    torch.manual_seed(5)
    student = Student(config, inputs, classes, hashed).eval()
    if isinstance(student.input, HashedInput):
        nn.init.normal_(student.input.table)  # starts at zero: all texts would look alike
    return student


@cache
def exported_files(
    config: StudentConfig, inputs: int, classes: int, hashed: bool
) -> Mapping[str, bytes]:
    """The files of a random student, made once for all tests of all workers: an export takes
    seconds."""
    shape = (config, inputs, classes, hashed)
    folder = shared_folder() / "students" / hashlib.sha256(repr(shape).encode()).hexdigest()
    with taking_turns(folder):
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            export_student(random_student(*shape), unfinished, whole=True)
            unfinished.rename(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def export_random(folder: Path, kind: StudentKind, hashed: bool = True) -> ExportedStudent:
    config = small_student(kind)
    shape = (config, BUCKETS if hashed else DIMENSION, CLASSES, hashed)
    (folder / "student").mkdir()
    for name, content in exported_files(*shape).items():
        (folder / "student" / name).write_bytes(content)
    info = StudentInfo(kind, weighting_of(kind), config.layers, config.hidden, 0)
    return ExportedStudent(random_student(*shape), folder, info)


def hub_graph() -> Adjacency:
    """A hub with 200 neighbours among 220 nodes, some of them alone."""
    hub = np.stack([np.zeros(200, np.int64), np.arange(1, 201)], axis=1)
    return build_adjacency(220, hub)[0]
