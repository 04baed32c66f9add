"""The calibration and the teacher's record in a bundle."""

from dataclasses import asdict

import msgspec
import numpy as np
from numpy.typing import NDArray

from training.calibration import Calibration as StudentCalibration
from training.calibration import calibrate_student
from training.student.checkpoint import Checkpoint
from training.teacher.answers.views import ServedTeacher
from understudy.bundle import Calibration, TeacherRecord
from understudy.graph import TextGraph
from understudy.graph.splits import labeled_nodes


def served_calibration(
    checkpoint: Checkpoint, graph: TextGraph, logits: NDArray[np.float32]
) -> Calibration:
    """Fits the calibration again on the stored logits, since an int8 encoder changes them.

    Shapes:
        logits: [N, classes]
    """
    validation = labeled_nodes(graph, "val")
    if not len(validation):  # nothing to fit on: keeps the student's calibration
        return converted(checkpoint.calibration)
    served = checkpoint.served
    return converted(
        calibrate_student(
            logits,
            graph.labels,
            graph.adjacency,
            validation,
            checkpoint.calibration.wanted,
            served.check(validation) if served else None,
        )
    )


def converted(calibration: StudentCalibration) -> Calibration:
    return msgspec.convert(asdict(calibration), Calibration)


def served_record(served: ServedTeacher | None) -> TeacherRecord | None:
    return None if served is None else msgspec.convert(asdict(served.record), TeacherRecord)
