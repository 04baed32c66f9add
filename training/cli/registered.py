"""What options may name: ours, and what plugins have registered."""

from training.config import LABELS, OBJECTIVES, STUDENT_KINDS
from understudy.plugins import plugins


def known_students() -> tuple[str, ...]:
    """Kinds of students; torch is loaded only where a plugin is."""
    if not plugins():
        return STUDENT_KINDS
    from training.student.kinds import STUDENTS

    return tuple(STUDENTS)


def known_objectives() -> tuple[str, ...]:
    """Names of objectives, likewise."""
    if not plugins():
        return OBJECTIVES
    from training.losses.registry import MAKERS

    return (LABELS, *MAKERS)
