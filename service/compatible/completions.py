"""`POST /v1/chat/completions`, if the answer is constrained to labels of the student."""

import json
from collections.abc import Mapping, Sequence
from math import log
from time import time
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from msgspec import Meta, Raw, Struct

from service.compatible.choices import Shares
from service.compatible.nodes import node_of_text
from service.compatible.questions import Questions
from service.http.exchange import Headers, decode
from service.http.repeats import look_through
from service.messages import Node, encode

MOST_ALTERNATIVES = 20
UNLIKELY = -9_999.0  # OpenAI's log-probability for a probability of 0
NO_BRAINER = 0.0  # log-probability of text that the constraint fixes
UNREAD = ("system", "developer")  # roles whose messages are ignored
REFERENCE = "#/$defs/"
Constraint = Annotated[Any, Meta(description="Restricts the answer to given texts.")]


class ChatPart(Struct):
    """A part of a message; the student reads only texts."""

    type: str
    text: str = ""


class ChatMessage(Struct):
    """A message; the user's message is the node."""

    role: str
    content: str | tuple[ChatPart, ...] | None = None


class ChatRequest(Struct):
    """A chat; fields that are not listed are passed upstream unchanged."""

    model: Annotated[str, Meta(description="Any name; only the upstream uses it.")]
    messages: Annotated[tuple[ChatMessage, ...], Meta(min_length=1)]
    response_format: Constraint = None
    structured_outputs: Constraint = None
    guided_choice: Constraint = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MOST_ALTERNATIVES)] | None = None
    n: int | None = None
    stream: bool | None = None
    tools: Annotated[Any, Meta(description="A request with tools goes to the upstream.")] = None


class Answered(Struct):
    """The student's answer as a message."""

    content: str
    role: str = "assistant"
    refusal: str | None = None


class LabelToken(Struct):
    """A piece of the answer: a whole label, or the fixed text around it."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: "list[LabelToken] | msgspec.UnsetType" = msgspec.UNSET


class LabelTokens(Struct):
    """The pieces of an answer, in order."""

    content: list[LabelToken]


class ChatChoice(Struct):
    """The only answer."""

    message: Answered
    logprobs: LabelTokens | None
    index: int = 0
    finish_reason: str = "stop"


class ChatUsage(Struct, frozen=True):
    """The student uses no tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class ChatResponse(Struct):
    """The student's answer; an upstream's answer is passed on unchanged."""

    id: str
    created: int
    model: str
    choices: tuple[ChatChoice, ...]
    usage: ChatUsage = ChatUsage()
    object: str = "chat.completion"


class AnswerConstraint(Struct):
    """A constraint of the answer: one of the options between two fixed texts.

    Attributes:
        quoted: whether the options are escaped as JSON strings (the quotes are in the fixed texts).
    """

    options: list[str]
    before: str = ""
    behind: str = ""
    quoted: bool = False

    def written(self, option: str) -> str:
        return json.dumps(option, ensure_ascii=False)[1:-1] if self.quoted else option


REQUEST = msgspec.json.Decoder(ChatRequest)


class ChatWireRequest:
    """A request with one question; see `service.compatible.proxy.WireRequest`."""

    path = "/chat/completions"
    refusable = False

    def __init__(self, request: ChatRequest, content: bytes) -> None:
        self.request, self.content = request, content
        self.reason = hindrance(request)
        self.constraint = None if self.reason else constraint_of(request)
        if self.constraint is None:
            self.reason = (
                self.reason or "the answer must be restricted to exactly one list of texts"
            )
        self.questions = Questions(
            None, [None if self.constraint is None else self.constraint.options]
        )

    def node(self) -> Node | None:
        """See `WireRequest`; a chat with earlier answers has no node."""
        messages = self.request.messages
        turns = [number for number, m in enumerate(messages) if m.role not in UNREAD]
        if len(turns) != 1 or messages[turns[0]].role != "user":
            return None
        content, where = messages[turns[0]].content, f"messages.{turns[0]}.content"
        if isinstance(content, tuple):
            if any(part.type != "text" for part in content):
                return None
            content = "\n".join(part.text for part in content)
        return None if content is None else node_of_text(content, where)

    def select(self, questions: Raw, _: Sequence[int]) -> Raw:
        """See `WireRequest`; there is only one question."""
        return questions

    def answer_body(self, model: str, own: Mapping[int, Shares], _: bytes | None) -> bytes:
        """See `WireRequest`."""
        constraint = self.constraint
        assert constraint is not None
        pieces = (
            constraint.before,
            constraint.written(constraint.options[own[0].best]),
            constraint.behind,
        )
        tokens = None
        if self.request.logprobs:
            tokens = LabelTokens(self.tokens(pieces, constraint, own[0]))
        choice = ChatChoice(Answered("".join(pieces)), tokens)
        name = f"chatcmpl-{uuid4().hex}"
        return encode(ChatResponse(name, int(time()), model, (choice,)))

    def tokens(
        self, pieces: Sequence[str], constraint: AnswerConstraint, own: Shares
    ) -> list[LabelToken]:
        """Makes one token of the label with its alternatives; the text around it is certain."""
        most = self.request.top_logprobs or 0
        # After rounding, another option may have the same probability as the best one.
        order = sorted(
            range(len(constraint.options)), key=lambda n: (-own.probabilities[n], n != own.best)
        )
        listed = [
            token_of(constraint.written(constraint.options[n]), own.probabilities[n])
            for n in order[:most]
        ]
        label = token_of(pieces[1], own.probabilities[own.best])
        label.top_logprobs = listed
        around = [LabelToken(p, NO_BRAINER, list(p.encode()), []) for p in pieces]
        return [token for token in (around[0], label, around[2]) if token.token]


def read_completion(content: bytes, _: Headers) -> ChatWireRequest:
    """Decodes a body.

    Raises:
        MalformedJsonError, InvalidFieldError: it is not a request of this API.
    """
    request = decode(REQUEST, content)
    look_through(content)
    return ChatWireRequest(request, content)


def token_of(text: str, probability: float) -> LabelToken:
    return LabelToken(text, log(probability) if probability else UNLIKELY, list(text.encode()))


def hindrance(request: ChatRequest) -> str:
    """Explains why the student cannot answer a request of this form; empty if it can."""
    if request.stream:
        return "`stream` is set, but the student does not stream its answers"
    if request.n not in (None, 1):
        return "`n` asks for several answers"
    return "`tools` are given" if request.tools else ""


def constraint_of(request: ChatRequest) -> AnswerConstraint | None:
    """Finds a request's constraint; None unless there is exactly one, of a list of texts."""
    found = [
        held
        for held in (
            constraint_by_format(request.response_format),
            constraint_by_outputs(request.structured_outputs),
            constraint_by_choice(request.guided_choice),
        )
        if held is not None
    ]
    wanted = (request.response_format, request.structured_outputs, request.guided_choice)
    return found[0] if len(found) == sum(value is not None for value in wanted) == 1 else None


def constraint_by_format(value: Any) -> AnswerConstraint | None:
    """Reads OpenAI's `response_format` of the type json_schema."""
    if not isinstance(value, dict) or not isinstance(value.get("json_schema"), dict):
        return None
    return constraint_by_schema(value["json_schema"].get("schema"))


def constraint_by_outputs(value: Any) -> AnswerConstraint | None:
    """Reads vLLM's `structured_outputs`, with `choice` or `json`."""
    if not isinstance(value, dict):
        return None
    return constraint_by_choice(value.get("choice")) or constraint_by_schema(value.get("json"))


def constraint_by_choice(value: Any) -> AnswerConstraint | None:
    return AnswerConstraint(value) if is_texts(value) else None


def constraint_by_schema(schema: Any) -> AnswerConstraint | None:
    """Reads a schema of a string with an `enum`, or of an object with one such property."""
    if not isinstance(schema, dict):
        return None
    options = enum_of(schema, schema)
    if options is not None:
        return AnswerConstraint(options, '"', '"', quoted=True)
    properties = schema.get("properties")
    if not isinstance(properties, dict) or len(properties) != 1:
        return None
    ((name, inner),) = properties.items()
    options = enum_of(inner, schema)
    if options is None:
        return None
    return AnswerConstraint(options, f'{{{json.dumps(name)}:"', '"}', quoted=True)


def enum_of(schema: Any, whole: Mapping[str, Any]) -> list[str] | None:
    """Returns the strings that a schema allows, directly or by a reference (as in pydantic)."""
    if not isinstance(schema, dict):
        return None
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(REFERENCE):
        definitions = whole.get("$defs")
        if not isinstance(definitions, dict):
            return None
        schema = definitions.get(reference.removeprefix(REFERENCE))
    texts = schema.get("enum") if isinstance(schema, dict) else None
    return texts if is_texts(texts) else None


def is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)
