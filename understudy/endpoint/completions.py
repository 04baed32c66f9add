"""The parts of a chat completion that are read."""

import json
import re
from math import exp
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from understudy.endpoint.errors import MalformedError


class Part(Struct):
    """A piece of an answer; models that think send their thoughts as pieces of other types."""

    type: str = "text"
    text: str | None = None


class Message(Struct):
    content: str | list[Part] | None = None  # left out by some servers where there is none
    refusal: object = None
    reasoning_content: object = None  # what was thought, where the server tells it apart
    reasoning: object = None  # the same, of other servers

    @property
    def text(self) -> str | None:
        """Its words, as they came; None where it has none."""
        if not isinstance(self.content, list):
            return self.content
        texts = [part.text for part in self.content if part.type == "text" and part.text]
        return "".join(texts) if texts else None

    @property
    def has_thoughts(self) -> bool:
        """Whether the server sends what was thought beside the answer, or instead of one."""
        apart = self.reasoning_content or self.reasoning
        if isinstance(apart, str) and apart.strip():
            return True
        return isinstance(self.content, list) and any(p.type != "text" for p in self.content)


class Choice(Struct):
    message: Message
    finish_reason: object = None
    logprobs: msgspec.Raw | UnsetType = UNSET  # read apart: what has an odd shape is passed over


class Completion(Struct):
    choices: Annotated[list[Choice], Meta(min_length=1)]
    usage: msgspec.Raw | UnsetType = UNSET
    # Beyond the OpenAI format; `understudy teacher-serve` adds it.
    label_scores: dict[str, float] | None = None


class Alternative(Struct):
    token: str
    logprob: float | None = None
    letters: list[Annotated[int, Meta(ge=0, le=255)]] | None = field(default=None, name="bytes")

    @property
    def probability(self) -> float:
        """0 to 1; 0 where it is not told."""
        return 0.0 if self.logprob is None else exp(min(self.logprob, 0.0))

    @property
    def raw(self) -> bytes:
        """What the token adds to the answer; half a character has no other name than bytes."""
        if self.letters is not None:
            return bytes(self.letters)
        return self.token.encode("utf-8", "surrogatepass")


class Position(Alternative):
    top_logprobs: list[Alternative] | None = None


class LogProbabilities(Struct):
    content: list[Position] | None = None


Count = Annotated[int, Meta(ge=0)]


class TokenCounts(Struct):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


DECODER = msgspec.json.Decoder(Completion)
POSITIONS = msgspec.json.Decoder(LogProbabilities | None)
COUNTS = msgspec.json.Decoder(TokenCounts | None)
# What Python's servers write for numbers that JSON does not have, most often a logprob of minus
# infinity.
NO_NUMBER = re.compile(rb"\bNaN\b|\bInfinity\b")


def read_completion(content: bytes) -> Completion:
    """Raises MalformedError where it is none."""
    try:
        return DECODER.decode(as_json(content))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise MalformedError(
            "the answer is not like an OpenAI server's", type(error).__name__
        ) from error


def as_json(content: bytes) -> bytes:
    """The same, with null for every number that JSON does not have.

    Raises:
        ValueError, OverflowError, RecursionError: it is nothing like JSON.
    """
    if not NO_NUMBER.search(content):
        return content
    return msgspec.json.encode(json.loads(content, parse_constant=lambda _: None))


def read_positions(choice: Choice) -> list[Position]:
    """The answer token by token; empty where the server does not tell it."""
    if isinstance(choice.logprobs, UnsetType):
        return []
    try:
        told = POSITIONS.decode(choice.logprobs)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return (told.content if told else None) or []


def read_counts(completion: Completion) -> TokenCounts:
    """Zeros where the server does not tell them."""
    if isinstance(completion.usage, UnsetType):
        return TokenCounts()
    try:
        return COUNTS.decode(completion.usage) or TokenCounts()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return TokenCounts()
