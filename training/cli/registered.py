"""What options may name: ours, and what plugins have registered."""

from training.config import STUDENT_KINDS
from understudy.plugins import plugins


def known_students() -> tuple[str, ...]:
    """Kinds of students; torch is loaded only where a plugin is."""
    if not plugins():
        return STUDENT_KINDS
    from training.student.kinds import STUDENTS

    return tuple(STUDENTS)
