"""Answers of both decision APIs: an upstream's are read, and merged with the student's."""

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from service.errors import UpstreamError

Answers = TypeVar("Answers")  # a list of answers, or answers by the question's name
Confidence = Annotated[
    float,
    Meta(
        description="(p - 1/n) / (1 - 1/n), where p is the choice's probability and n the number "
        "of options."
    ),
]


class UpstreamAnswers(Struct, Generic[Answers]):
    """The parts of an upstream's answer that are read."""

    answers: Answers
    usage: Raw


class Merged(Struct):
    """The response; the answers of an upstream are unchanged."""

    model: str
    answers: Any
    usage: Raw


def read_answers(
    decoder: "msgspec.json.Decoder[UpstreamAnswers[Answers]]", content: bytes, form: str
) -> UpstreamAnswers[Answers]:
    """Decodes an upstream's answer.

    Args:
        form: name of the form that it should have, for the error.

    Raises:
        UpstreamError: it has another form.
    """
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UpstreamError(f"does not answer in the form of {form}") from error
