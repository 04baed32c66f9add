"""The two forms of a decision endpoint's requests and answers.

Servers compute an answer's confidence in different ways, and choose by their own rules, so only the
probabilities are read.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
import numpy as np
from msgspec import Meta, Struct

from understudy.endpoint.asker import Usage
from understudy.endpoint.decisions.rounds import Shares
from understudy.endpoint.errors import MalformedError
from understudy.endpoint.options import WireName

T = TypeVar("T")
INSTRUCTIONS = (
    "The input is an item of a linked collection and, where they are listed, the items that are "
    "linked to it. Where the category of a linked item is known, it stands in square brackets "
    "behind its title. Which category should the item be classified as?"
)
# Probabilities may be rounded to two decimals, so a 0 is not exact, and the sum is not quite 1.
FLOOR = 1e-5
SUM_TOLERANCE = 0.1
LARGEST = 1e6  # largest value before division by the sum; allows percentages and counts

log = logging.getLogger(__name__)


Count = Annotated[float, Meta(ge=0)]


class TokenCounts(Struct):
    input_tokens: Count | None = None
    output_tokens: Count | None = None


class OptionProbability(Struct):
    value: str | bool
    probability: float


class ListedAnswer(Struct):
    type: str
    probabilities: list[OptionProbability] = []


class Decision(Struct):
    answers: list[ListedAnswer]
    usage: msgspec.Raw = msgspec.Raw(b"null")


class MappedAnswer(Struct):
    type: str
    probabilities: dict[str, float] = {}


class SystemOne(Struct):
    answers: dict[str, MappedAnswer]
    usage: msgspec.Raw = msgspec.Raw(b"null")


class Form(Protocol):
    """One form: questions that each choose among some labels."""

    @property
    def path(self) -> str: ...

    def body(
        self, text: str, questions: Sequence[Sequence[str]], descriptions: Mapping[str, str]
    ) -> dict[str, Any]:
        """The request body, without the model."""
        ...

    def read(
        self, content: bytes, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Shares | None], Usage]:
        """Every question's probabilities in its options' order, None for a refused one.

        Raises:
            MalformedError: it is not an answer to these questions.
        """
        ...


class DecisionQuestions:
    """`POST /v1/decisions`: answers are a list in the questions' order."""

    path = "/decisions"

    def body(
        self, text: str, questions: Sequence[Sequence[str]], descriptions: Mapping[str, str]
    ) -> dict[str, Any]:
        """See `Form`."""

        def option(label: str) -> dict[str, str]:
            description = {"description": descriptions[label]} if label in descriptions else {}
            return {"value": label, **description}

        written = [
            {"type": "choice", "instructions": INSTRUCTIONS, "choices": list(map(option, labels))}
            for labels in questions
        ]
        return {"input": text, "questions": written}

    def read(
        self, content: bytes, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Shares | None], Usage]:
        """See `Form`."""
        decision = decoded(content, DECISION)
        if len(decision.answers) != len(questions):
            raise MalformedError(f"{len(questions)} questions got {len(decision.answers)} answers")
        found = [
            None if answer.type == "refusal" else shares(by_option(answer), labels)
            for answer, labels in zip(decision.answers, questions, strict=True)
        ]
        return found, usage(decision.usage)


class SystemOneQuestions:
    """`POST /v1/systemone`: questions and answers have names."""

    path = "/systemone"

    def body(
        self, text: str, questions: Sequence[Sequence[str]], descriptions: Mapping[str, str]
    ) -> dict[str, Any]:
        """See `Form`."""
        written = {
            name_of(number): {
                "type": "choice",
                "instructions": INSTRUCTIONS,
                "criteria": {label: descriptions.get(label) for label in labels},
            }
            for number, labels in enumerate(questions)
        }
        return {"state": text, "questions": written}

    def read(
        self, content: bytes, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Shares | None], Usage]:
        """See `Form`."""
        answered = decoded(content, SYSTEM_ONE)
        found: list[Shares | None] = []
        for number, labels in enumerate(questions):
            answer = answered.answers.get(name_of(number))
            if answer is None:
                raise MalformedError("a question got no answer", name_of(number))
            refused = answer.type == "refusal"
            found.append(None if refused else shares(answer.probabilities, labels))
        return found, usage(answered.usage)


FORMS: Mapping[WireName, Form] = {
    "decisions": DecisionQuestions(),
    "systemone": SystemOneQuestions(),
}
DECISION = msgspec.json.Decoder(Decision)
SYSTEM_ONE = msgspec.json.Decoder(SystemOne)
COUNTS = msgspec.json.Decoder(TokenCounts | None)


def name_of(number: int) -> str:
    return f"category_{number + 1}"


def decoded(content: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decodes an answer; raises MalformedError if it has another form."""
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(
            "the answer does not have the form of a decision endpoint", str(error)[:200]
        ) from error


def by_option(answer: ListedAnswer) -> dict[str, float]:
    """Maps options to probabilities.

    Raises:
        MalformedError: an option occurs twice.
    """
    probabilities = {str(option.value): option.probability for option in answer.probabilities}
    if len(probabilities) < len(answer.probabilities):
        raise MalformedError("an option occurs twice in the answer")
    return probabilities


def shares(weights: Mapping[str, float], labels: Sequence[str]) -> Shares:
    """The probabilities of the labels, float64, none 0, normalised.

    Missing options count as 0, because some servers leave those out.

    Raises:
        MalformedError: they are invalid, or belong to other options.
    """
    foreign = weights.keys() - set(labels)
    if foreign or not weights:
        problem = f"{len(foreign)} of {len(weights)} options in the answer were not in the question"
        raise MalformedError("the probabilities are not those of the labels", problem)
    values = np.array([weights.get(label, 0.0) for label in labels])
    if values.min() < 0 or values.max() <= 0:
        raise MalformedError("a probability is negative, or all are 0")
    if values.max() > LARGEST:
        raise MalformedError("a probability is too large")
    total = float(values.sum())
    if abs(total - 1) > SUM_TOLERANCE:
        log.warning("an answer's probabilities sum to %.2f; they are divided by their sum", total)
    result: Shares = np.maximum(values / total, FLOOR)
    result /= result.sum()
    return result


def usage(raw: msgspec.Raw) -> Usage:
    """The usage of one request; zeros if the server does not report it."""
    try:
        counts = COUNTS.decode(raw) or TokenCounts()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        counts = TokenCounts()
    return Usage(1, int(counts.input_tokens or 0), int(counts.output_tokens or 0))
