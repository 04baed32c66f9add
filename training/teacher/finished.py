"""Whether a teacher folder is the complete result of a call already."""

import logging
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError

from training.errors import TeacherError
from training.teacher.answers.folder import (
    ANSWERS_FILE,
    FORMAT_VERSION,
    TeacherInfo,
    read_arrays,
    read_info,
)
from training.teacher.answers.views import TUNED_FILE
from training.teacher.extract import is_whole
from training.teacher.options import TeachOptions
from training.weights import read_weights

ADAPTER_FOLDER = "adapter"
log = logging.getLogger(__name__)


def finished(out: Path, digest: str, weights: Sequence[str] = ()) -> TeacherInfo | None:
    """The folder's description, if it is the complete result of the same call.

    Args:
        weights: names of the weight files it must hold.
    """
    if not (out / "teacher.json").is_file():
        return None
    try:
        info = read_info(out)
    except TeacherError:
        return None
    same = info.settings.get("fingerprint") == digest and info.format_version == FORMAT_VERSION
    if not same or not is_whole(out / ANSWERS_FILE):
        return None
    if missing := next((path for name in weights if not (path := out / name).exists()), None):
        log.warning("%s is missing; making the teacher again", missing)
        return None
    try:
        read_arrays(out, info)
        if TUNED_FILE in weights:
            read_weights(out / TUNED_FILE)
    except TeacherError as error:
        log.warning("%s; making it again", error)
        return None
    except (OSError, ValueError, SafetensorError) as error:
        log.warning("a file in %s is damaged (%s); making the teacher again", out, error)
        return None
    return info


def weight_files(options: TeachOptions) -> tuple[str, ...]:
    """Names of the weight files in a teacher's folder."""
    if not options.tuning.epochs:
        return ()
    return (TUNED_FILE, ADAPTER_FOLDER) if options.kind == "causal" else (TUNED_FILE,)
