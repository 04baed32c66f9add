"""A plugin: an encoder as the teacher, whose first process on a cluster dies while it answers."""

import os
import signal
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import cast

from training.teacher.encoder import EncoderTeacher
from training.teacher.local import LocalTeacher, load_encoder, register_teacher
from training.teacher.options import TeachOptions
from training.teacher.protocol import Answers
from understudy.graph import TextGraph
from understudy.graph.prompts import Prompt

KIND = "mortal"
SPARED = "spared"  # a file beside the model: the process that must not die
KILLED = "killed"  # another: that one has died


class MortalTeacher(EncoderTeacher):
    folder = Path()

    def answer(self, prompts: Sequence[Prompt]) -> Answers:
        spared = (self.folder / SPARED).read_text() == str(os.getpid())
        if not spared and not (self.folder / KILLED).exists():
            (self.folder / KILLED).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(prompts)


def load_mortal(graph: TextGraph, options: TeachOptions) -> LocalTeacher:
    """Of "mortal:FOLDER"."""
    loaded = cast(EncoderTeacher, load_encoder(graph, options))
    teacher = MortalTeacher(**{field.name: getattr(loaded, field.name) for field in fields(loaded)})
    MortalTeacher.folder = Path(options.teacher.partition(":")[2])
    return teacher


register_teacher(KIND, load_mortal)
