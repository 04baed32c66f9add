"""Checks which teachers an evaluation supports, before torch is imported."""

from training.errors import EvaluationError
from training.teacher.defaults import STUDENT_KIND, teacher_kind

REFUSED = {
    "endpoint": "an endpoint cannot be tuned for each split; name another teacher",
    STUDENT_KIND: "a student has learned labels that other splits test on; name another teacher, "
    "or the recipe 'self-teacher', whose teacher is a student of the same split",
}


def check_teacher(teacher: str) -> None:
    """Refuses a teacher that cannot be made anew for every split.

    Raises:
        EvaluationError: it is an endpoint, or a student.
    """
    if (reason := REFUSED.get(teacher_kind(teacher))) is not None:
        raise EvaluationError(reason)
