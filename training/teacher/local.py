"""The kinds of teachers that run in this process: built in and registered."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from training.config import Registry
from training.errors import TeacherError
from training.teacher.causal import load_causal_teacher
from training.teacher.defaults import LOCAL_KINDS, teacher_kind
from training.teacher.encoder import load_encoder_teacher
from training.teacher.options import TeachOptions
from training.teacher.protocol import TunableTeacher
from understudy.graph import TextGraph


class LocalTeacher(TunableTeacher, Protocol):
    """A teacher in this process; if `tuning.epochs` is 0, `module` and `loss` are never used."""

    @property
    def digest(self) -> str:
        """SHA-256 of the untuned weights, or of everything else that its answers depend on."""
        ...


Loader = Callable[[TextGraph, TeachOptions], LocalTeacher]
TEACHERS: Registry[Loader] = Registry("teacher")


def register_teacher(kind: str, load: Loader) -> None:
    """Registers a kind of teacher, for `TeachOptions(teacher=kind)` or `"KIND:anything"`.

    Raises:
        TrainingError: the name is taken, or refers to another teacher already.
    """
    if teacher_kind(kind) != "causal" or ":" in kind:
        raise TeacherError(f"{kind!r} is already the name of another teacher, or contains a colon")
    TEACHERS.register(kind, load)
    LOCAL_KINDS.add(kind)


def load_local(graph: TextGraph, options: TeachOptions) -> LocalTeacher:
    return TEACHERS[options.kind](graph, options)


def load_causal(graph: TextGraph, options: TeachOptions) -> LocalTeacher:
    tuned, seed = options.tuning.epochs > 0, options.tuning.seed
    return load_causal_teacher(options.teacher, graph.label_names, options.causal, tuned, seed)


def load_encoder(graph: TextGraph, options: TeachOptions) -> LocalTeacher:
    if not options.tuning.epochs:
        raise TeacherError("an encoder has a fresh head, so it needs at least one epoch of tuning")
    _, _, path = options.teacher.partition(":")
    if path and not Path(path).is_dir():
        raise TeacherError(f"the folder {path!r} does not exist; give a text encoder's folder")
    folder = Path(path) if path else None
    return load_encoder_teacher(folder, graph.num_classes, options.encoder, options.tuning.seed)


TEACHERS.register("causal", load_causal)
TEACHERS.register("encoder", load_encoder)
