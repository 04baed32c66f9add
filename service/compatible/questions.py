"""Caches the questions of requests, since callers ask the same questions about many nodes."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec
from msgspec import Raw

from service.compatible.choices import Columns, Options, own_choices
from service.http.repeats import look_through
from understudy.endpoint.naming import LabelReader

MOST_KEPT = 64  # sets of questions
LONGEST_KEPT = 16_384  # bytes of a request's questions; longer ones are not cached
WireQuestions = TypeVar("WireQuestions")  # an API's own form of the questions


class Questions(Generic[WireQuestions]):
    """Decoded questions, with everything about them that does not depend on the node.

    Args:
        options: of each question; None if it is not a choice among texts.
    """

    def __init__(self, decoded: WireQuestions, options: Sequence[Options | None]) -> None:
        self.decoded = decoded
        self.options = options
        self.latest: tuple[LabelReader, Mapping[int, Columns]] | None = None

    def __len__(self) -> int:
        return len(self.options)

    def choices(self, reader: LabelReader) -> Mapping[int, Columns]:
        """The choices that the student can answer, see `own_choices`; computed once per reader."""
        latest = self.latest
        if latest is None or latest[0] is not reader:
            latest = self.latest = (reader, own_choices(self.options, reader))
        return latest[1]


def look_around(content: bytes, questions: Raw) -> None:
    """Checks a body without its questions, which were checked when they were first read.

    Raises:
        InvalidFieldError, MalformedJsonError: see `look_through`.
    """
    look_through(content.replace(bytes(questions), b"0", 1))


class QuestionReader(Generic[WireQuestions]):
    """Decodes an API's questions; recent ones come from a cache."""

    def __init__(
        self,
        decoder: "msgspec.json.Decoder[WireQuestions]",
        options_of: Callable[[WireQuestions], Sequence[Options | None]],
    ) -> None:
        self.decoder = decoder
        self.options_of = options_of
        self.cached: Callable[[bytes], Questions[WireQuestions]] = lru_cache(MOST_KEPT)(self.decode)

    def decode(self, content: bytes) -> Questions[WireQuestions]:
        decoded = self.decoder.decode(content)
        look_through(content)
        return Questions(decoded, self.options_of(decoded))

    def read(self, written: Raw) -> Questions[WireQuestions]:
        """Decodes questions.

        Raises:
            msgspec.MsgspecError, UnicodeError, RecursionError: they do not follow the API.
            InvalidFieldError: one of them has a field twice.
        """
        content = bytes(written)
        read = self.cached if len(content) <= LONGEST_KEPT else self.decode
        return read(content)
