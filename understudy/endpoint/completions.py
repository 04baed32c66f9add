"""The parts of a chat completion that are read."""

import json
import re
from math import exp
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from understudy.endpoint.errors import MalformedError


class Part(Struct):
    """A part of an answer; models that think send their thoughts as parts of other types."""

    type: str = "text"
    text: str | None = None


class Message(Struct):
    content: str | list[Part] | None = None  # omitted by some servers if there is none
    refusal: object = None
    reasoning_content: object = None  # the thoughts, if the server separates them
    reasoning: object = None  # the same, from other servers

    @property
    def text(self) -> str | None:
        """The text, verbatim; None if there is none."""
        if not isinstance(self.content, list):
            return self.content
        texts = [part.text for part in self.content if part.type == "text" and part.text]
        return "".join(texts) if texts else None

    @property
    def has_thoughts(self) -> bool:
        """Whether the server sent thoughts in addition to, or instead of, an answer."""
        apart = self.reasoning_content or self.reasoning
        if isinstance(apart, str) and apart.strip():
            return True
        return isinstance(self.content, list) and any(p.type != "text" for p in self.content)


class Choice(Struct):
    message: Message
    finish_reason: object = None
    logprobs: msgspec.Raw | UnsetType = UNSET  # parsed later, so that odd shapes are tolerated


class Completion(Struct):
    choices: Annotated[list[Choice], Meta(min_length=1)]
    usage: msgspec.Raw | UnsetType = UNSET
    # An extension of the OpenAI format by `understudy teacher-serve`.
    label_scores: dict[str, float] | None = None


class Alternative(Struct):
    token: str
    logprob: float | None = None
    letters: list[Annotated[int, Meta(ge=0, le=255)]] | None = field(default=None, name="bytes")

    @property
    def probability(self) -> float:
        """0 to 1; 0 if it was not reported."""
        return 0.0 if self.logprob is None else exp(min(self.logprob, 0.0))

    @property
    def raw(self) -> bytes:
        """The bytes that the token adds to the answer; part of a character exists only as bytes."""
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
# Values that Python servers write for numbers without a JSON form, usually a logprob of minus
# infinity.
NO_NUMBER = re.compile(rb"\bNaN\b|\bInfinity\b")


def read_completion(content: bytes) -> Completion:
    """Parses a completion; raises MalformedError if it is none."""
    try:
        return DECODER.decode(as_json(content))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise MalformedError(
            "the answer does not have the form of OpenAI's API", type(error).__name__
        ) from error


def as_json(content: bytes) -> bytes:
    """Replaces every number without a JSON form by null.

    Raises:
        ValueError, OverflowError, RecursionError: it is not JSON at all.
    """
    if not NO_NUMBER.search(content):
        return content
    return msgspec.json.encode(json.loads(content, parse_constant=lambda _: None))


def read_positions(choice: Choice) -> list[Position]:
    """The answer token by token; empty if the server does not report it."""
    if isinstance(choice.logprobs, UnsetType):
        return []
    try:
        reported = POSITIONS.decode(choice.logprobs)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return (reported.content if reported else None) or []


def read_counts(completion: Completion) -> TokenCounts:
    """The token counts; empty if the server does not report them."""
    if isinstance(completion.usage, UnsetType):
        return TokenCounts()
    try:
        return COUNTS.decode(completion.usage) or TokenCounts()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return TokenCounts()
