"""The questions of a request, which callers ask of one node after another in the same words."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec
from msgspec import Raw

from service.compatible.choices import Columns, Options, own_choices
from service.http.repeats import look_through
from understudy.endpoint.naming import LabelReader

MOST_KEPT = 64  # of the questions that were read last
LONGEST_KEPT = 16_384  # bytes of a request's questions; longer ones are read every time
WireQuestions = TypeVar("WireQuestions")  # a wire's own form of the questions


class Questions(Generic[WireQuestions]):
    """Some questions, and what is known of them whatever node they are asked about.

    Args:
        options: of each question; None where it is no choice among texts.
    """

    def __init__(self, given: WireQuestions, options: Sequence[Options | None]) -> None:
        self.given = given
        self.options = options
        self.found: tuple[LabelReader, Mapping[int, Columns]] | None = None

    def __len__(self) -> int:
        return len(self.options)

    def own(self, reader: LabelReader) -> Mapping[int, Columns]:
        """See `own_choices`; found once as long as the labels are the same."""
        found = self.found
        if found is None or found[0] is not reader:
            found = self.found = (reader, own_choices(self.options, reader))
        return found[1]


def look_around(content: bytes, questions: Raw) -> None:
    """Looks through a body without its questions, which were looked through when they were new.

    Raises:
        InvalidFieldError, MalformedJsonError: see `look_through`.
    """
    look_through(content.replace(bytes(questions), b"0", 1))


class QuestionReader(Generic[WireQuestions]):
    """Reads a wire's questions; those that were asked lately are not taken apart again."""

    def __init__(
        self,
        decoder: "msgspec.json.Decoder[WireQuestions]",
        options_of: Callable[[WireQuestions], Sequence[Options | None]],
    ) -> None:
        self.decoder = decoder
        self.options_of = options_of
        self.known: Callable[[bytes], Questions[WireQuestions]] = lru_cache(MOST_KEPT)(self.anew)

    def anew(self, content: bytes) -> Questions[WireQuestions]:
        given = self.decoder.decode(content)
        look_through(content)
        return Questions(given, self.options_of(given))

    def read(self, written: Raw) -> Questions[WireQuestions]:
        """Reads them.

        Raises:
            msgspec.MsgspecError, UnicodeError, RecursionError: they are none of this wire.
            InvalidFieldError: one of them has a field twice.
        """
        content = bytes(written)
        return self.known(content) if len(content) <= LONGEST_KEPT else self.anew(content)
