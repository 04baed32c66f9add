"""JSON lines: one object a line."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from graph.errors import BadInputError
from graph.readers.text_lines import read_lines

Row = tuple[int, Sequence[str], Sequence[object]]  # line, column names, values


def read_jsonl(path: Path) -> Iterator[Row]:
    """Yields every object with its line; blank lines are passed over.

    Raises:
        BadInputError: a line is no JSON object.
    """
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        value = parse(line, f"{path}:{number}")
        if not isinstance(value, dict):
            raise BadInputError(
                f"{path}:{number}: expected a JSON object, found {kind(value)}; "
                "every line must hold one JSON object"
            )
        yield number, tuple(value), tuple(value.values())


def parse(line: str, where: str) -> object:
    """One JSON value.

    Raises:
        BadInputError: it is broken, or holds what no file can store.
    """
    try:
        value: object = json.loads(line)
        if "\\u" in line:  # an escape may name half a character, which is no text
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise BadInputError(
            f"{where}: broken JSON at column {error.colno}: {error.msg}; "
            "every line must hold one JSON object"
        ) from error
    except UnicodeEncodeError as error:
        raise BadInputError(
            f"{where}: an escape names half a character (a lone surrogate); remove it"
        ) from error
    except RecursionError as error:
        raise BadInputError(f"{where}: the JSON is nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise BadInputError(f"{where}: {error}") from error
    return value


def kind(value: object) -> str:
    """A JSON value's type in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    numbers = {int: "a number", float: "a number", type(None): "null"}
    return (names | numbers).get(type(value), type(value).__name__)
