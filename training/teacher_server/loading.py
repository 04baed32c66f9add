"""Loads the tuned teacher from a teacher folder."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from training.errors import TeacherError
from training.teacher.answers.folder import REMEDY, TeacherInfo, read_info, unreadable
from training.teacher.answers.views import TUNED_FILE
from training.teacher.causal import CausalOptions, CausalTeacher, load_causal_teacher
from training.teacher.encoder import EncoderOptions, EncoderTeacher, load_encoder_teacher
from training.teacher.reading import model_change
from training.teacher.tuning import tuned_weights
from training.weights import read_weights


def load_teacher(folder: Path) -> tuple[EncoderTeacher | CausalTeacher, TeacherInfo]:
    """Loads the base model and the tuned weights.

    Raises:
        TeacherError: no teacher folder, one of an endpoint, or weights that do not fit.
    """
    info = read_info(folder)
    if info.kind == "endpoint":
        raise TeacherError(f"{folder} holds the answers of an endpoint; use that endpoint directly")
    if info.kind not in ("encoder", "causal"):
        raise TeacherError(f"{folder} is of the kind {info.kind!r}, which cannot be served")
    tuned = (folder / TUNED_FILE).is_file()
    teacher: EncoderTeacher | CausalTeacher
    if info.kind == "encoder":
        path = info.model.partition(":")[2]
        options = read_options(EncoderOptions, info.settings.get("encoder", {}))
        teacher = load_encoder_teacher(Path(path) if path else None, len(info.label_names), options)
    else:
        causal = read_options(CausalOptions, info.settings.get("causal", {}))
        teacher = load_causal_teacher(info.model, info.label_names, causal, tuned)
    if change := model_change(info, teacher.digest, teacher.reading):
        raise TeacherError(f"{info.model} has {change} than when {folder} was made")
    if tuned:
        load_weights(teacher, folder / TUNED_FILE)
    teacher.module.eval()
    return teacher, info


def read_options(kind: Any, values: dict[str, Any]) -> Any:
    """The options as they were written; unknown ones of newer releases are dropped."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in known})


def load_weights(teacher: EncoderTeacher | CausalTeacher, path: Path) -> None:
    try:
        weights, own = read_weights(path), tuned_weights(teacher)
    except (OSError, ValueError, SafetensorError) as error:
        raise unreadable(path, error) from error
    if weights.keys() != own.keys():
        raise TeacherError(f"{path} holds the weights of another teacher")
    for name, value in weights.items():
        if value.shape != own[name].shape:
            raise TeacherError(f"{path}: {name} has another shape")
        if not bool(torch.isfinite(value).all()):
            raise TeacherError(
                f"{path} is damaged: {name} holds values that are not finite; {REMEDY}"
            )
        with torch.no_grad():
            own[name].copy_(value)
