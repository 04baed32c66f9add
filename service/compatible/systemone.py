"""`POST /v1/systemone`, the API of Jev's clients: see the specification in jevcompat."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from service.compatible.answers import Confidence, Merged, UpstreamAnswers, read_answers
from service.compatible.choices import Options, Shares
from service.compatible.nodes import node_of_object, node_of_text
from service.compatible.questions import QuestionReader, Questions, look_around
from service.errors import InvalidFieldError, UpstreamError
from service.http.exchange import Headers, decode
from service.messages import Name, Node, encode

MOST_OPTIONS, MOST_LEVELS = 255, 10
Text = Annotated[Any, Meta(description="A text, an object or an array; the student ignores it.")]


class SystemOneChoice(Struct, tag_field="type", tag="choice"):
    """A choice; the student answers it if the options are distinct labels of it."""

    criteria: Annotated[
        dict[str, Any],
        Meta(
            min_length=1,
            max_length=MOST_OPTIONS,
            description="Options, each with its description or null.",
        ),
    ]
    instructions: Text = None


class SystemOneNoul(Struct, tag_field="type", tag="noul"):
    """Answered by an upstream only."""

    criteria: dict[str, Any] | None = None
    instructions: Text = None


class SystemOneScore(Struct, tag_field="type", tag="score"):
    """Answered by an upstream only."""

    criteria: Annotated[tuple[Any, ...], Meta(min_length=1, max_length=MOST_LEVELS)]
    instructions: Text = None


SystemOneQuestion = SystemOneChoice | SystemOneNoul | SystemOneScore


State = Annotated[
    str | dict[str, Any] | tuple[Any, ...],
    Meta(description='A text; an object `{"node": …}` names a node.'),
]
SystemOneQuestions = Annotated[dict[Name, SystemOneQuestion], Meta(min_length=1)]


class SystemOneRequest(Struct):
    """Questions about one state; fields that are not listed are passed upstream unchanged."""

    model: Annotated[str, Meta(description="Any name; only the upstream uses it.")]
    state: State
    questions: SystemOneQuestions


class Outline(Struct):
    """The request with undecoded questions."""

    model: str
    state: State
    questions: Raw


class SystemOneChoiceAnswer(Struct, tag_field="type", tag="choice"):
    """The most probable option."""

    choice: str
    confidence: Confidence
    probabilities: dict[str, float]


class SystemOneNoulAnswer(Struct, tag_field="type", tag="noul"):
    """An upstream's answer."""

    noul: float


class SystemOneScoreAnswer(Struct, tag_field="type", tag="score"):
    """An upstream's answer."""

    score: float
    confidence: float
    legend: dict[str, Any]
    probabilities: dict[str, float]


class SystemOneRefusal(Struct, tag_field="type", tag="refusal"):
    """The student cannot answer, and there is no upstream; only next to answers of the student."""


SystemOneAnswer = (
    SystemOneChoiceAnswer | SystemOneNoulAnswer | SystemOneScoreAnswer | SystemOneRefusal
)


class SystemOneUsage(Struct):
    """An upstream's tokens; the student uses none."""

    input_tokens: int = 0
    output_tokens: int = 0


class SystemOneResponse(Struct):
    """An answer to each question; an upstream's answers are unchanged."""

    model: str
    answers: dict[str, SystemOneAnswer]
    usage: SystemOneUsage


class SystemOneWireRequest:
    """A request; see `service.compatible.proxy.WireRequest`."""

    path = "/systemone"
    refusable = False
    reason = ""

    def __init__(
        self, state: State, questions: Questions[SystemOneQuestions], content: bytes
    ) -> None:
        self.state, self.questions, self.content = state, questions, content

    def node(self) -> Node | None:
        """See `WireRequest`; an array or any other object has no node."""
        state = self.state
        return (
            node_of_text(state, "state")
            if isinstance(state, str)
            else node_of_object(state, "state")
        )

    def select(self, questions: Raw, positions: Sequence[int]) -> Raw:
        """See `WireRequest`."""
        decoded, names = SINGLE.decode(questions), list(self.questions.decoded)
        return Raw(encode({name: decoded[name] for name in map(names.__getitem__, positions)}))

    def answer_body(self, model: str, own: Mapping[int, Shares], reply: bytes | None) -> bytes:
        """See `WireRequest`."""
        rest: Mapping[str, Any] = {}
        usage = NO_TOKENS
        if reply is not None:
            answered = read_answers(RESPONSE, reply, "/v1/systemone")
            rest, usage = answered.answers, answered.usage
        answers: dict[str, Any] = {}
        pairs = zip(self.questions.decoded, self.questions.options, strict=True)
        for position, (name, options) in enumerate(pairs):
            if position in own and options is not None:
                answers[name] = choice_answer(options, own[position])
            elif reply is None:
                answers[name] = SystemOneRefusal()
            elif name in rest:
                answers[name] = rest[name]
            else:
                raise UpstreamError("left a question without an answer")
        return encode(Merged(model, answers, usage))


def read_system_one(content: bytes, _: Headers) -> SystemOneWireRequest:
    """Decodes a body.

    Raises:
        MalformedJsonError, InvalidFieldError: it is not a request of this API.
    """
    try:
        outline = OUTLINE.decode(content)
        questions = QUESTIONS.read(outline.questions)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        tell_wrong(content)
        raise
    look_around(content, outline.questions)
    return SystemOneWireRequest(outline.state, questions, content)


def tell_wrong(content: bytes) -> None:
    """Raises the error of an invalid body; it names the question if a single one is wrong."""
    try:
        decode(REQUEST, content)
    except InvalidFieldError:
        name_question(content)
        raise


def name_question(content: bytes) -> None:
    """Raises InvalidFieldError with the question's name if a single question is wrong."""
    try:
        questions = SINGLE.decode(OUTLINE.decode(content).questions)
    except msgspec.MsgspecError:
        return
    for name, question in questions.items():
        try:
            decode(QUESTION, question)
        except InvalidFieldError as error:
            raise error.below(f"questions.{name}") from error


def all_options(questions: SystemOneQuestions) -> list[Options | None]:
    return [options_of(question) for question in questions.values()]


def options_of(question: SystemOneQuestion) -> Options | None:
    return list(question.criteria) if isinstance(question, SystemOneChoice) else None


def choice_answer(options: Options, own: Shares) -> SystemOneChoiceAnswer:
    probabilities = dict(zip(options, own.probabilities, strict=True))
    return SystemOneChoiceAnswer(options[own.best], own.confidence, probabilities)


REQUEST = msgspec.json.Decoder(SystemOneRequest)
OUTLINE = msgspec.json.Decoder(Outline)
QUESTION = msgspec.json.Decoder(SystemOneQuestion)
QUESTIONS = QuestionReader(msgspec.json.Decoder(SystemOneQuestions), all_options)
SINGLE = msgspec.json.Decoder(dict[str, Raw])
RESPONSE = msgspec.json.Decoder(UpstreamAnswers[dict[str, Raw]])
NO_TOKENS = Raw(encode(SystemOneUsage()))
