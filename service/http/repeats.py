"""Refuses fields and headers that occur twice in one request, as ambiguous.

msgspec takes the last of two fields. Answers about stored nodes show what was read, so there the
caller can see it, and a look-up does not pay for a second parse; everywhere else it would go
unnoticed.
"""

import json
from typing import Any

from msgspec import Struct

from service.errors import InvalidFieldError, MalformedJsonError
from service.http.exchange import Headers, JsonBody, Read


def refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    """Checks one JSON object; keeps nothing of it.

    Raises:
        InvalidFieldError: it has a field twice.
    """
    if len({name for name, _ in pairs}) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidFieldError(name, "given more than once in one object")
        seen.add(name)


# Numbers stay strings: one of thousands of digits, in a field that is not read, would be an error.
DECODER = json.JSONDecoder(object_pairs_hook=refuse_repeats, parse_int=str, parse_float=str)


def look_through(content: bytes) -> None:
    """Checks a decoded body again.

    Raises:
        InvalidFieldError: it has a field twice.
        MalformedJsonError: a field that was skipped is not JSON, or nested too deep.
    """
    try:
        DECODER.decode(content.decode())
    except RecursionError as error:
        raise MalformedJsonError("the body is nested too deep") from error
    except ValueError as error:
        raise MalformedJsonError(f"the body is not JSON: {error}") from error


def without_repeats(read: Read) -> Read:
    """Wraps a decoder so that it refuses a body with a repeated field."""

    def read_checked(content: bytes, headers: Headers) -> Any:
        body = read(content, headers)
        look_through(content)
        return body

    return read_checked


class OnceBody(JsonBody):
    """A body in which a repeated field is refused."""

    def __init__(self, kind: type[Struct]) -> None:
        super().__init__(kind)
        self.read = without_repeats(self.read)
        self.read_large = without_repeats(self.read_large)
