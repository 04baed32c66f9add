"""`POST /v1/decisions`, the API of OpenAI's client (package openai from 3.57 on)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from service.compatible.answers import Confidence, Merged, UpstreamAnswers, read_answers
from service.compatible.choices import Options, Shares
from service.compatible.nodes import node_of_object, node_of_text
from service.compatible.questions import QuestionReader, Questions, look_around
from service.errors import UpstreamError
from service.http.exchange import Headers, decode
from service.messages import Name, Node, encode

MOST_QUESTIONS, MOST_CHOICES = 400, 255
OWN_TYPES = ("input_text", "input_json")  # types of parts that the student reads
Instructions = Annotated[
    Any, Meta(description="A text or a list of parts; the student ignores it.")
]


class InputPart(Struct):
    """A part of a message: a text, JSON, or something that only an upstream reads."""

    type: str
    text: str = ""
    data: Annotated[Any, Meta(description="Content of an input_json part.")] = None


class InputItem(Struct):
    """A message; calls and their outputs are read by an upstream only."""

    content: str | tuple[InputPart, ...] = ()
    role: str = ""
    type: str = "message"


class ChoiceOption(Struct, gc=False):
    """An option of a choice."""

    value: str | bool
    description: str | None = None


class ChoiceQuestion(Struct, tag_field="type", tag="choice"):
    """A choice; the student answers it if the values are distinct labels of it."""

    instructions: Instructions
    choices: Annotated[tuple[ChoiceOption, ...], Meta(min_length=2, max_length=MOST_CHOICES)]
    name: Name | None = None


class PredicateQuestion(Struct, tag_field="type", tag="predicate"):
    """Answered by an upstream only."""

    instructions: Instructions
    name: Name | None = None


class ScoreQuestion(Struct, tag_field="type", tag="score"):
    """Answered by an upstream only."""

    instructions: Instructions
    levels: tuple[Any, ...]
    name: Name | None = None


DecisionQuestion = ChoiceQuestion | PredicateQuestion | ScoreQuestion
DecisionInput = Annotated[
    str | tuple[InputItem, ...],
    Meta(description='A text or messages; a JSON part `{"node": …}` names a node.'),
]
DecisionQuestions = Annotated[
    tuple[DecisionQuestion, ...], Meta(min_length=1, max_length=MOST_QUESTIONS)
]


class DecisionRequest(Struct):
    """Questions about one input; fields that are not listed are passed upstream unchanged."""

    model: Annotated[str, Meta(description="Any name; only the upstream uses it.")]
    input: DecisionInput
    questions: DecisionQuestions


class Outline(Struct):
    """The request with undecoded questions."""

    model: str
    input: DecisionInput
    questions: Raw


class ChoiceProbability(Struct, gc=False):
    """An option's probability among the options."""

    value: str | bool
    probability: float


class ChoiceAnswer(Struct, tag_field="type", tag="choice"):
    """The most probable option."""

    name: str | None
    choice: str | bool
    confidence: Confidence
    probabilities: list[ChoiceProbability]


class PredicateAnswer(Struct, tag_field="type", tag="predicate"):
    """An upstream's answer."""

    name: str | None
    probability: float


class LevelProbability(Struct):
    """A level's probability."""

    label: str
    value: int
    probability: float


class ScoreAnswer(Struct, tag_field="type", tag="score"):
    """An upstream's answer."""

    name: str | None
    score: float
    confidence: float
    probabilities: list[LevelProbability]


class Refusal(Struct, tag_field="type", tag="refusal"):
    """The student cannot answer, and there is no upstream."""

    name: str | None


class InputDetails(Struct, frozen=True):
    """Details of the tokens that were read."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(Struct, frozen=True):
    """Details of the tokens that were written."""

    reasoning_tokens: int = 0


class DecisionUsage(Struct, frozen=True):
    """An upstream's tokens; the student uses none."""

    input_tokens: int = 0
    input_tokens_details: InputDetails = InputDetails()
    output_tokens: int = 0
    output_tokens_details: OutputDetails = OutputDetails()
    total_tokens: int = 0


class DecisionResponse(Struct):
    """An answer to each question, in order; an upstream's answers are unchanged."""

    model: str
    answers: tuple[ChoiceAnswer | PredicateAnswer | ScoreAnswer | Refusal, ...]
    usage: DecisionUsage


class DecisionsWireRequest:
    """A request; see `service.compatible.proxy.WireRequest`."""

    path = "/decisions"
    refusable = True
    reason = ""

    def __init__(
        self, text: DecisionInput, questions: Questions[DecisionQuestions], content: bytes
    ) -> None:
        self.input, self.questions, self.content = text, questions, content

    def node(self) -> Node | None:
        """See `WireRequest`."""
        return node_of_input(self.input)

    def select(self, questions: Raw, positions: Sequence[int]) -> Raw:
        """See `WireRequest`."""
        decoded = SINGLE.decode(questions)
        return Raw(encode([decoded[position] for position in positions]))

    def answer_body(self, model: str, own: Mapping[int, Shares], reply: bytes | None) -> bytes:
        """See `WireRequest`."""
        rest: Sequence[Any] = ()
        usage = NO_TOKENS
        if reply is not None:
            answered = read_answers(RESPONSE, reply, "a decision endpoint")
            rest, usage = answered.answers, answered.usage
            asked = len(self.questions) - len(own)
            if len(rest) != asked:
                raise UpstreamError(f"answered only {len(rest)} of {asked} questions")
        others = iter(rest)
        answers: list[Any] = []
        pairs = zip(self.questions.decoded, self.questions.options, strict=True)
        for position, (question, options) in enumerate(pairs):
            if position in own and options is not None:
                answers.append(choice_answer(question.name, options, own[position]))
            else:
                answers.append(Refusal(question.name) if reply is None else next(others))
        return encode(Merged(model, answers, usage))


def read_decisions(content: bytes, _: Headers) -> DecisionsWireRequest:
    """Decodes a body.

    Raises:
        MalformedJsonError, InvalidFieldError: it is not a request of this API.
    """
    try:
        outline = OUTLINE.decode(content)
        questions = QUESTIONS.read(outline.questions)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        decode(REQUEST, content)  # raises an error with the field's place in the whole body
        raise
    look_around(content, outline.questions)
    return DecisionsWireRequest(outline.input, questions, content)


def all_options(questions: DecisionQuestions) -> list[Options | None]:
    return [options_of(question) for question in questions]


def options_of(question: DecisionQuestion) -> Options | None:
    if not isinstance(question, ChoiceQuestion):
        return None
    values = [option.value for option in question.choices]
    texts = [value for value in values if isinstance(value, str)]
    return texts if len(texts) == len(values) else None


def node_of_input(value: str | tuple[InputItem, ...]) -> Node | None:
    """Finds the node of an input; None if the student cannot read it.

    It is the user's only message; messages of developers and systems are ignored. A JSON part
    `{"node": …}` names the node, regardless of other texts; otherwise the message's texts, joined
    by line feeds, are the node's.

    Raises:
        InvalidFieldError: see `service.compatible.nodes`.
    """
    if isinstance(value, str):
        return node_of_text(value, "input")
    users = [number for number, item in enumerate(value) if item.role == "user"]
    foreign = any(i.type != "message" or i.role == "assistant" for i in value)
    if foreign or len(users) != 1:
        return None
    content, where = value[users[0]].content, f"input.{users[0]}.content"
    if isinstance(content, str):
        return node_of_text(content, where)
    if any(part.type not in OWN_TYPES for part in content):
        return None
    data = [number for number, part in enumerate(content) if part.type == "input_json"]
    if len(data) == 1:
        return node_of_object(content[data[0]].data, f"{where}.{data[0]}.data")
    return None if data else node_of_text("\n".join(part.text for part in content), where)


def choice_answer(name: str | None, options: Options, own: Shares) -> ChoiceAnswer:
    probabilities = list(map(ChoiceProbability, options, own.probabilities))
    return ChoiceAnswer(name, options[own.best], own.confidence, probabilities)


REQUEST = msgspec.json.Decoder(DecisionRequest)
OUTLINE = msgspec.json.Decoder(Outline)
QUESTIONS = QuestionReader(msgspec.json.Decoder(DecisionQuestions), all_options)
SINGLE = msgspec.json.Decoder(list[Raw])
RESPONSE = msgspec.json.Decoder(UpstreamAnswers[list[Raw]])
NO_TOKENS = Raw(encode(DecisionUsage()))
