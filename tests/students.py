"""Untrained students and their exported files, small enough to export in a test."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from export.checks.parity import student_forms
from export.student.blocks import weighting_of
from export.student.files import export_student
from export.student.whole_file import export_whole
from training.config import StudentConfig, StudentKind
from training.student.network import HashedInput, Student
from understudy.bundle import StudentInfo
from understudy.bundle.sessions import Network
from understudy.bundle.student import WHOLE_FILE, StudentNetwork
from understudy.graph.csr import Adjacency, build_adjacency
from understudy.graph.neighborhoods import Weighting

DIMENSION, BUCKETS, CLASSES = 24, 64, 3


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


def random_student(kind: StudentKind, layers: int, hashed: bool = False) -> Student:
    torch.manual_seed(layers)
    config = StudentConfig(kind=kind, layers=layers, hidden=16)
    student = Student(config, BUCKETS if hashed else DIMENSION, CLASSES, hashed)
    if isinstance(student.input, HashedInput):
        nn.init.normal_(student.input.table)  # it starts at zero
    return student.eval()


def export_random(folder: Path, kind: StudentKind, hashed: bool = False) -> ExportedStudent:
    """Two layers where one could hide an error: hops add up, and attention is not linear."""
    layers = 2 if kind in ("sage", "gat") and not hashed else 1
    student = random_student(kind, layers, hashed)
    export_student(student, folder / "student")
    export_whole(student, folder / WHOLE_FILE)
    info = StudentInfo(kind, weighting_of(kind), layers, 16, 0)
    return ExportedStudent(student, folder, info)


def hub_graph() -> Adjacency:
    """A hub with 200 neighbours among 220 nodes, some of them alone."""
    hub = np.stack([np.zeros(200, np.int64), np.arange(1, 201)], axis=1)
    return build_adjacency(220, hub)[0]
