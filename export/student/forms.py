"""The forms in which a student's exported files are run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from understudy.bundle import StudentInfo
from understudy.bundle.sessions import Network
from understudy.bundle.student import StudentNetwork, layer_file, open_student
from understudy.graph.layers.neighborhoods import Weighting


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a student, opened where it is run.

    Attributes:
        folder: holds the student's folder
        gathering: GPU form, whose layers gather their neighbours themselves
    """

    folder: Path
    info: StudentInfo
    gathering: bool = False

    @property
    def weighting(self) -> Weighting:
        return cast(Weighting, self.info.weighting)

    def open(self, threads: int) -> StudentNetwork:
        network = open_student(self.folder, self.info, threads, "cpu")
        if not self.gathering:
            return network
        files = [self.folder / layer_file(number + 1) for number in range(self.info.layers)]
        return replace(network, layers=tuple(Network(path, threads) for path in files))


def forms_of(folder: Path, info: StudentInfo) -> tuple[Form, Form]:
    """The forms for CPU and for GPU."""
    return Form(folder, info), Form(folder, info, gathering=True)
