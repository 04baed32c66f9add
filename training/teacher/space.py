"""The room that tuning and answers take on a disk, checked before either."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import TeacherError
from training.teacher.causal import CausalTeacher
from training.teacher.encoder import EncoderTeacher
from training.teacher.local import LocalTeacher
from training.teacher.tuning import tuned_weights
from understudy.folders import FolderError, check_space
from understudy.folders.errors import place_errors

STATE_BYTES = 3 * 4  # of a weight in a checkpoint beside the best one: it, and Adam's two moments


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


def check_fits(out: Path, answers: int, teacher: LocalTeacher, checkpoint: Path | None) -> None:
    """Refuses to tune, or to ask, what the disk has no room for.

    A complete checkpoint replaces the last one, which stays until the result is written.

    Args:
        answers: bytes of all answers, at least.
        checkpoint: of tuning, beside `out`, where there may be one already; None: nothing is tuned.

    Raises:
        OutputUnwritableError: says how much is needed.
    """
    if checkpoint is None:
        return check_space(out, answers)
    weights = tuned_weights(teacher).values()
    result = sum(weight.nbytes for weight in weights)
    one = result + sum(STATE_BYTES * weight.numel() for weight in weights)
    there = checkpoint.stat().st_size if checkpoint.is_file() else 0
    check_space(out, max(2 * one, one + result + answers) - there)
    return None


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
