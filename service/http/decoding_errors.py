"""Explains to a person why a body cannot be decoded."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from service.errors import SHOWN_PROBLEM, InvalidFieldError
from understudy.engine.errors import shortened

# An escape of a lone surrogate: a high one without a low one after it, or vice versa.
LONE_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
STEP = re.compile(r"\.{3}|[^.]+")  # of a path: a name, a number, or any value of a map
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


def invalid_field(message: str, expected: Any) -> InvalidFieldError:
    """Turns "Expected `str`, got `int` - at `$.nodes[0].text`" into an error on nodes.0.text.

    Args:
        message: of msgspec.
        expected: the type that was to be decoded.
    """
    problem, _, path = message.replace(OF_A_NAME, " as each name - at `$").partition(" - at `$")
    field = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path.rstrip("`")).lstrip(".")
    own = re.search(r"(?:unknown|required) field `(.*?)`", problem)
    listed = ""
    if "unknown field" in problem:
        if names := known(expected, field):
            listed = f"; known are {shortened(', '.join(names), SHOWN_PROBLEM // 2)}"
    elif values := sorted(set(permitted(expected, f"{field}.{own[1]}" if own else field))):
        listed = f": one of {', '.join(values)}"
    if own:
        field = f"{field}.{own[1]}".lstrip(".")
    problem = shortened(problem, SHOWN_PROBLEM - len(listed) - 1) + listed
    return InvalidFieldError(field, problem[:1].lower() + problem[1:])


def permitted(expected: Any, field: str) -> Iterator[str]:
    """Yields the values that a field may have, if they are a list of words."""
    for one in types_at(expected, field):
        if isinstance(one, inspect.LiteralType):
            yield from map(str, one.values)


def known(expected: Any, field: str) -> list[str]:
    """The names in the object at a field; empty if it may be of several kinds."""
    structs = [one for one in types_at(expected, field) if isinstance(one, inspect.StructType)]
    return [part.encode_name for part in structs[0].fields] if len(structs) == 1 else []


def types_at(expected: Any, field: str) -> list[inspect.Type]:
    """The types that the value of a field may have."""
    found = list(alternatives(inspect.type_info(expected)))
    for name in STEP.findall(field):
        found = [
            inner for one in found for part in parts(one, name) for inner in alternatives(part)
        ]
    return found


def alternatives(expected: inspect.Type) -> Iterator[inspect.Type]:
    """Yields the members of a union, or the type itself."""
    if isinstance(expected, inspect.Metadata):
        yield from alternatives(expected.type)
    elif isinstance(expected, inspect.UnionType):
        for one in expected.types:
            yield from alternatives(one)
    else:
        yield expected


def parts(expected: inspect.Type, name: str) -> Iterator[inspect.Type]:
    """Yields the type of a field, or of the items if `name` is a number or dots."""
    match expected:
        case inspect.StructType(fields=fields, tag_field=tag_field, tag=tag):
            yield from (field.type for field in fields if field.encode_name == name)
            if name == tag_field:
                yield inspect.LiteralType((tag,))
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            yield item
        case inspect.TupleType(item_types=items) if name.isdecimal() and int(name) < len(items):
            yield items[int(name)]
        case inspect.DictType(value_type=value):
            yield value
