"""Fields and headers that come twice in one request, which are refused as ambiguous.

msgspec takes the last of two fields. Answers about stored nodes show what was read, so there it is
left to the caller to see, and a look-up does not pay for a second reading; everywhere else it would
go unseen.
"""

import json
from typing import Any

from msgspec import Struct

from service.errors import InvalidFieldError, MalformedJsonError
from service.http.exchange import Headers, JsonBody, Read


def refuse_repeats(pairs: list[tuple[str, Any]]) -> None:
    """Looks through one object of JSON; nothing is kept of it.

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


# Numbers stay texts: one of thousands of digits, in a field that nobody reads, would be an error.
DECODER = json.JSONDecoder(object_pairs_hook=refuse_repeats, parse_int=str, parse_float=str)


def look_through(content: bytes) -> None:
    """Looks through a body that was read already.

    Raises:
        InvalidFieldError: it has a field twice.
        MalformedJsonError: a field that was not read is no JSON, or nested too deep.
    """
    try:
        DECODER.decode(content.decode())
    except RecursionError as error:
        raise MalformedJsonError("the body is nested too deep") from error
    except ValueError as error:
        raise MalformedJsonError(f"the body is not JSON: {error}") from error


def without_repeats(read: Read) -> Read:
    """Reads a body, and refuses one that has a field twice."""

    def read_checked(content: bytes, headers: Headers) -> Any:
        body = read(content, headers)
        look_through(content)
        return body

    return read_checked


class OnceBody(JsonBody):
    """Each field of which comes once."""

    def __init__(self, kind: type[Struct]) -> None:
        super().__init__(kind)
        self.read = without_repeats(self.read)
        self.read_large = without_repeats(self.read_large)
