"""What a teacher is to the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from understudy.graph.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Opinion:
    """A teacher's answer to one question."""

    label: str
    scores: Mapping[str, float] | None = None  # probability of every label, where it tells them


class TeacherBackend(Protocol):
    """Answers one question at a time; many may be asked at once."""

    @property
    def name(self) -> str:
        """Tells its answers from those of any other teacher."""

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Opinion:
        """Asks.

        Raises:
            TeacherError: it gave no usable answer.
        """

    async def close(self) -> None: ...
