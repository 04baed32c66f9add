"""The interface of an endpoint of any form: a prompt in, probabilities of the labels out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from understudy.graph.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer was charged for."""

    requests: int = 0  # sent for it; the first question may need several
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it was read."""

    text: str | None  # as it came, without what was thought before; None: the server sent none
    label: int | None  # a position in the label names; None: it names no label
    log_probabilities: tuple[float, ...] | None = None  # nats, one a label; None where not told
    usage: Usage = Usage(1)
    cut: bool = False  # it ended for want of room
    refusal: str = ""  # why it names no label, where the server says that the model refused


class Asker(Protocol):
    """Asks one question at a time; many may be asked at once."""

    @property
    def form(self) -> str:
        """All that an answer depends on besides prompt, labels and model; never the address."""

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Reply:
        """Asks once; nothing is retried here.

        Raises:
            EndpointError: see `understudy.endpoint.errors`.
        """

    async def close(self) -> None: ...
