"""Changes that say one thing twice: which of both was meant, nobody can tell."""

import json
from typing import Any

from msgspec import Struct

from service.errors import InvalidFieldError
from service.http.exchange import Headers, JsonBody, Read


def refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    """Looks through one object of JSON; nothing is kept of it.

    Raises:
        InvalidFieldError: it has a field twice.
    """
    if len({name for name, _ in pairs}) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise InvalidFieldError(name, "given more than once in one object")


DECODER = json.JSONDecoder(object_pairs_hook=refuse_repeats)


def without_repeats(read: Read) -> Read:
    """Reads a body, and refuses one that has a field twice."""

    def read_checked(content: bytes, headers: Headers) -> Any:
        body = read(content, headers)  # so it is JSON, and no deeper than the struct
        DECODER.decode(content.decode())
        return body

    return read_checked


class ChangeBody(JsonBody):
    """Of a change. msgspec takes the last of two fields; the first would be lost without a word.

    Who only asks sees in the answer what was read, and a look-up would pay for the second reading.
    """

    def __init__(self, kind: type[Struct]) -> None:
        super().__init__(kind)
        self.read = without_repeats(self.read)
        self.read_large = without_repeats(self.read_large)
