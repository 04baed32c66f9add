"""What an OpenAI-compatible server sends → the teacher's opinion."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from service.errors import TeacherError
from service.teacher.backend import Opinion
from service.teacher.replies import find_label
from service.teacher.scores import problem_of_scores


class Message(Struct):
    content: str


class Choice(Struct):
    message: Message


class Completion(Struct):
    """Of a chat completion, what is read."""

    choices: Annotated[list[Choice], Meta(min_length=1)]
    # Beyond the OpenAI format; `understudy teacher-serve` adds it.
    label_scores: dict[str, float] | None = None


DECODER = msgspec.json.Decoder(Completion)


def parse_completion(content: bytes, label_names: Sequence[str]) -> Opinion:
    """Reads a chat completion.

    Raises:
        TeacherError: it is none, names no label, or tells probabilities that are none.
    """
    try:
        completion = DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TeacherError(
            "the teacher does not answer like an OpenAI server", reason=type(error).__name__
        ) from error
    label = find_label(completion.choices[0].message.content, label_names)
    if label is None:
        raise TeacherError("the teacher's answer is none of the labels", of_question=True)
    scores = completion.label_scores
    if scores is not None and (problem := problem_of_scores(scores, label, label_names)):
        raise TeacherError("the teacher's probabilities make no sense", reason=problem)
    return Opinion(label, scores)
