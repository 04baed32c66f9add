"""Checks that the files named by `--teacher` and `--encoder-path` exist, before importing torch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.beginning import no_student
from training.errors import EncoderError, TeacherError
from training.teacher.defaults import (
    LOCAL_KINDS,
    STUDENT_KIND,
    WIRES,
    student_folder,
    teacher_kind,
)
from understudy.endpoint.errors import AddressError
from understudy.endpoint.options import check_address
from understudy.folders.kinds import STUDENT, marked

if TYPE_CHECKING:
    from training.teacher.endpoint import EndpointOptions

GEMMA = "gemma"  # the name of Gemma 3 270M, whose weights come as packages
CONFIG = "config.json"  # of any transformers model
WEIGHTS_FILE = "model.safetensors"  # of a text encoder


def check_model(teacher: str) -> None:
    """Refuses a teacher whose folder or file is missing; its content is checked later.

    Args:
        teacher: as given to `--teacher`

    Raises:
        CheckpointError: it is no student's folder.
        TeacherError: there is no such folder or file.
    """
    kind, (name, _, path) = teacher_kind(teacher), teacher.partition(":")
    if kind == STUDENT_KIND:
        if marked(student_folder(teacher), STUDENT) is None:
            raise no_student(student_folder(teacher))
    elif name == "encoder":
        if path and not Path(path).is_dir():
            raise TeacherError(f"the folder {path!r} does not exist; give a text encoder's folder")
        if path and not (Path(path) / CONFIG).is_file():
            raise TeacherError(f"{path} does not contain a text encoder (no {CONFIG})")
    elif name == "gguf":
        check_file(Path(path))
    elif kind not in LOCAL_KINDS and kind != "endpoint" and teacher != GEMMA:
        check_name(teacher)


def check_file(file: Path) -> None:
    """Refuses a missing GGUF file."""
    if not file.is_file():
        raise TeacherError(f"the file {str(file)!r} does not exist; give gguf:FILE")


def check_name(name: str) -> None:
    """Refuses a name that is neither a folder nor a hub id, before any network access."""
    if name.strip() and Path(name).is_dir():
        if not (Path(name) / CONFIG).is_file():
            raise TeacherError(f"{name} does not contain a model (no {CONFIG})")
        return
    if name.count("/") > 1 or name.startswith((".", "/", "~")) or os.sep not in name:
        problem = f"the folder {name!r} does not exist" if name.strip() else "--teacher is empty"
        raise TeacherError(
            f"{problem}; give gemma, gguf:FILE, a model's folder, a hub id such as owner/model, "
            "encoder, or openai:URL#model"
        )


def check_encoder_path(path: Path) -> None:
    """Refuses a folder of `--encoder-path` that holds no text encoder.

    Raises:
        EncoderError: it has no weights.
    """
    if not (path / WEIGHTS_FILE).is_file():
        raise EncoderError(
            f"--encoder-path {path}: {WEIGHTS_FILE} is missing; give the folder with MiniLM, or "
            "leave the option out if its package is installed"
        )


def parse_endpoint(teacher: str, **asking: Any) -> "EndpointOptions | None":
    """Parses an endpoint such as openai:URL#model; None for other teachers.

    Args:
        asking: further fields of `EndpointOptions`.

    Raises:
        TeacherError: the address or the model is missing or invalid.
    """
    kind, _, address = teacher.partition(":")
    if kind not in WIRES:
        return None
    url, _, model = address.partition("#")
    key = os.environ.get("OPENAI_API_KEY", "")
    try:
        check_address(url, key if model else "")
    except AddressError as error:
        if error.part == "key":
            raise TeacherError(f"OPENAI_API_KEY holds {error}") from error
        raise TeacherError(f"the address in {teacher!r} is {error}, followed by #MODEL") from error
    if not model:
        raise TeacherError(
            f"{teacher!r} is not an endpoint; give {kind}:URL#model, for example "
            f"{kind}:http://localhost:8000/v1#my-model"
        )
    from training.teacher.endpoint import EndpointOptions

    return EndpointOptions(url=url, model=model, key=key, wire=WIRES[kind], **asking)
