"""The default settings of each kind of teacher.

An encoder is small and starts with a fitted head, which larger steps would undo. A causal model is
large and knows the labels' words already; it has the settings that LinguGKD (arXiv 2402.05894)
reports. An endpoint costs money, so it gets one prompt per node.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.endpoint.options import WireName

Precision = Literal["auto", "float32", "bfloat16"]  # of a causal model
Scores = Literal["auto", "sum", "mean", "prior"]  # how an untuned causal model's labels compare


@dataclass(frozen=True, slots=True)
class TeacherDefaults:
    hops: tuple[int, ...]
    tokens: int  # of a node's description
    epochs: int = 0  # of tuning, at most
    batch_size: int = 1  # prompts a step
    learning_rate: float = 0.0  # at its peak
    nested: bool = False  # prompts share prefixes, so that a causal model reads a node once


WIRES: Mapping[str, WireName] = {  # by the prefix of an endpoint's name
    "openai": "chat",
    "decisions": "decisions",
    "systemone": "systemone",
}
STUDENT_WEIGHTS = "student.safetensors"
STUDENT_KIND = "student"  # a graph network, see `training.student_teacher`
LOCAL_KINDS = {"encoder"}  # named by their kind; `training.teacher.local` adds others


def teacher_kind(teacher: str) -> str:
    """The kind of the teacher that `--teacher` names: encoder, endpoint, student, causal or a
    registered one.
    """
    name = teacher.partition(":")[0]
    if name == STUDENT_KIND or (Path(teacher) / STUDENT_WEIGHTS).is_file():
        return STUDENT_KIND
    return name if name in LOCAL_KINDS else "endpoint" if name in WIRES else "causal"


def reader_kind(teacher: str, frozen: bool = False) -> str:
    """The kind by which options are read or refused (`training.teacher.readers`).

    Args:
        frozen: an encoder whose head alone is tuned
    """
    kind = teacher_kind(teacher)
    if kind not in DEFAULTS:
        return "registered"
    if kind == "endpoint" and WIRES[teacher.partition(":")[0]] != "chat":
        return "decision endpoint"
    return "frozen encoder" if kind == "encoder" and frozen else kind


def student_folder(teacher: str) -> Path:
    """The folder in student:FOLDER, or the student folder itself."""
    kind, _, folder = teacher.partition(":")
    return Path(folder if kind == STUDENT_KIND else teacher)


def model_folder(teacher: str) -> list[Path]:
    """The folder or file that `--teacher` names, if any: an input that must not be replaced."""
    kind = teacher_kind(teacher)
    if kind == STUDENT_KIND:
        return [student_folder(teacher)]
    named = teacher.partition(":")[2] if teacher.startswith(("encoder", "gguf:")) else teacher
    return [Path(named)] if kind != "endpoint" and named and Path(named).exists() else []


DEFAULTS: Mapping[str, TeacherDefaults] = {
    "encoder": TeacherDefaults((0, 1, 2), tokens=160, epochs=3, batch_size=16, learning_rate=2e-5),
    "causal": TeacherDefaults(
        (0, 1, 2), tokens=380, epochs=1, batch_size=4, learning_rate=2e-4, nested=True
    ),
    "endpoint": TeacherDefaults((2,), tokens=380),
    STUDENT_KIND: TeacherDefaults((), tokens=160),
}
REGISTERED = TeacherDefaults((0, 1, 2), tokens=160, batch_size=16, learning_rate=2e-5)


def defaults_of(teacher: str) -> TeacherDefaults:
    """The defaults for the teacher that `--teacher` names; a registered one is not tuned."""
    return DEFAULTS.get(teacher_kind(teacher), REGISTERED)
