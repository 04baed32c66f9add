"""The room that answers take on a disk, checked before they are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import TeacherError
from training.teacher.causal import CausalTeacher
from training.teacher.encoder import EncoderTeacher
from training.teacher.local import LocalTeacher
from understudy.folders import FolderError, check_space
from understudy.folders.errors import place_errors


def answer_bytes(teacher: LocalTeacher, classes: int) -> int:
    """Bytes of one answer, at least: float32 of every class, float16 of every feature, whose number
    a registered teacher does not say.
    """
    width = 0
    if isinstance(teacher, EncoderTeacher):
        width = int(teacher.module.head.in_features)
    elif isinstance(teacher, CausalTeacher):
        width = int(getattr(getattr(teacher.module, "config", None), "hidden_size", 0))
    return 4 * classes + 2 * width


@contextmanager
def keeping(out: Path, work: Path) -> Iterator[None]:
    """Says of an output that cannot be written that finished work is kept.

    Raises:
        TeacherError: `out`, or the work beside it, cannot be written.
    """
    try:
        with place_errors(out):
            yield
    except FolderError as error:
        if not any(path.is_file() for path in work.rglob("*")):
            raise
        raise TeacherError(
            f"{error}; finished work is kept in {work}, and the same command resumes from there"
        ) from error


def check_answers_fit(out: Path, folder: Path, whole: int, missing: int) -> None:
    """Refuses to ask for answers that the disk has no room for.

    Args:
        folder: of unfinished answers.
        whole: bytes of the result, which is written while those are still there.
        missing: bytes of the answers that are still to be asked for.

    Raises:
        OutputUnwritableError: says how much is needed.
    """
    check_space(folder, missing)
    together = missing if folder.parent.resolve() == out.parent.resolve() else 0
    check_space(out, whole + together)
