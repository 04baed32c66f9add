"""Exported students: the slow part, once a session."""

import pytest

from tests.students import ExportedStudent, export_random
from training.config import STUDENT_KINDS, StudentKind

CASES = [*((kind, True) for kind in STUDENT_KINDS), ("mlp", False)]


@pytest.fixture(scope="session", params=CASES, ids=lambda case: case[0] + "-dense" * (not case[1]))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ExportedStudent:
    kind: StudentKind
    kind, hashed = request.param
    return export_random(tmp_path_factory.mktemp(kind), kind, hashed)
