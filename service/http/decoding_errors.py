"""Explains to a person why a body cannot be decoded."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE

from service.errors import InvalidFieldError

# An escape of a lone surrogate: a high one without a low one after it, or vice versa.
LONE_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
OF_A_NAME = " - at `key` in `$"  # msgspec's words for a field's name


def why_unread(body: bytes) -> str:
    """Explains an invalid body in words that help a person; empty if there is no explanation."""
    if not body.strip():
        return "it is empty"
    if body.startswith((BOM_UTF8, BOM_UTF16_LE, BOM_UTF16_BE)):
        return "it begins with a byte order mark; send UTF-8 without one"
    if LONE_HALF.search(body):
        return "an escape names half a character (a lone surrogate); remove it"
    return ""


def invalid_field(message: str) -> InvalidFieldError:
    """Turns "Expected `str`, got `int` - at `$.nodes[0].text`" into an error on nodes.0.text."""
    problem, _, path = message.replace(OF_A_NAME, " as each name - at `$").partition(" - at `$")
    field = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path.rstrip("`")).lstrip(".")
    own = re.search(r"(?:unknown|required) field `(.*?)`", problem)
    if own:
        field = f"{field}.{own[1]}".lstrip(".")
    return InvalidFieldError(field, problem[:1].lower() + problem[1:])
