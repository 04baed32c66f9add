"""The interface of an endpoint of any form, from a prompt to the labels' probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from understudy.graph.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Usage:
    """The charges for one answer."""

    requests: int = 0  # number sent; the first question may need several
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
    """An answer after parsing."""

    text: str | None  # verbatim, without preceding thoughts; None: the server sent none
    label: int | None  # index into the label names; None: it names no label
    log_probabilities: tuple[float, ...] | None = None  # nats, one per label; None if not reported
    usage: Usage = Usage(1)
    cut: bool = False  # it was truncated by a token limit
    refusal: str = ""  # the reason, if the server says that the model refused


class Asker(Protocol):
    """Asks one question per call; calls may run concurrently."""

    @property
    def form(self) -> str:
        """Everything else that an answer depends on: not prompt, labels, model or address."""

    async def ask(self, prompt: Prompt, label_names: Sequence[str]) -> Reply:
        """Asks once, without retries.

        Raises:
            EndpointError: see `understudy.endpoint.errors`.
        """

    async def close(self) -> None: ...
