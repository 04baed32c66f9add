"""JSON: one object per line, an array of objects, or the nodes and links of a graph."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from understudy.folders.places import path_problem
from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.readers.delimited import Refuse, Row, numbered, stop
from understudy.graph.readers.text_lines import read_lines
from understudy.progress import Progress, silent

LINK_KEYS = ("links", "edges")  # of a node-link graph, in the order of their age in NetworkX
RECORDS = "expected one object a line, an array of objects, or a graph of nodes and links"


def read_jsonl(
    path: Path, progress: Progress = silent, pairs: bool = False, refuse: Refuse = stop
) -> Iterator[Row]:
    """Yields every object with its line number; blank lines are skipped.

    Args:
        pairs: whether a line may be a list of an edge's two ends; its columns are 1, 2, ….
        refuse: is called for a line that is no JSON object, before the next one is yielded.

    Raises:
        BadInputError: a line is no JSON object.
    """
    for number, line in enumerate(read_lines(path, progress), 1):
        if not line.strip():
            continue
        try:
            value = parse(line, f"{path}:{number}")
            if not (isinstance(value, dict) or (pairs and is_pair(value))):
                raise BadInputError(
                    f"{path}:{number}: expected a JSON object, found {kind(value)}; "
                    "every line must hold one JSON object (name a file of one array .json)"
                )
        except BadInputError as error:
            refuse(number, error)
            continue
        if isinstance(value, dict):
            yield number, tuple(value), tuple(value.values())
        else:
            yield number, numbered(len(value)), value


def read_document(path: Path, progress: Progress = silent) -> dict[str, list[Any]] | None:
    """Parses a file that is one JSON value into its records by kind; None for JSON lines.

    Returns:
        "nodes" and, for a graph, "edges"; for an array both are the same records

    Raises:
        BadInputError: it is broken, or holds no records.
    """
    lines = read_lines(path, progress)
    start = []
    for line in lines:
        start.append(line)
        if line.strip():
            break
    first = start[-1].lstrip()
    if first[:1] not in ("[", "{"):
        return None
    value = object_of(first)
    if value is not None and not (is_graph(value) or holds_columns(value)):
        return None
    rest = "".join(lines)
    if value is None or rest.strip():
        return records_of(path, parse("".join(start) + rest, str(path), RECORDS))
    check_characters(first, value, str(path))
    return records_of(path, value)


def object_of(line: str) -> dict[str, Any] | None:
    """A line that is a complete object, empty if it cannot be read; None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        value: dict[str, Any] = json.loads(line, object_pairs_hook=distinct)
    except json.JSONDecodeError:  # it continues on the next line
        return None
    except (RecursionError, ValueError):  # reported when lines are read one by one
        return {}
    return value


def is_graph(value: dict[str, Any]) -> bool:
    return isinstance(value.get("nodes"), list) and any(key in value for key in LINK_KEYS)


def holds_columns(value: dict[str, Any]) -> bool:
    """Whether an object is a whole table by columns, rather than one record."""
    return bool(value) and all(isinstance(column, dict | list) for column in value.values())


def records_of(path: Path, value: Any) -> dict[str, list[Any]]:
    """The records of an array or a graph.

    Raises:
        BadInputError: it is neither, or a graph with two lists of edges.
    """
    if isinstance(value, list):
        return {"nodes": value, "edges": value}
    links = [key for key in LINK_KEYS if isinstance(value.get(key), list)]
    if not isinstance(value.get("nodes"), list) or not links:
        raise BadInputError(
            f"{path}: {RECORDS}; found an object of {', '.join(map(str, value))[:80]} "
            '(of pandas: to_json(path, orient="records", lines=True))'
        )
    filled = [key for key in links if value[key]]
    if len(filled) > 1:
        raise BadInputError(
            f"{path}: there are edges in {' and in '.join(map(repr, filled))}; put them together "
            "or remove one"
        )
    return {"nodes": value["nodes"], "edges": value[(filled or links)[0]]}


def read_value(path: Path, whole: str) -> Any:
    """Reads a file, or a pipe, that is one JSON value in any of JSON's encodings.

    Args:
        whole: describes the expected content.

    Raises:
        SourceError: it cannot be read.
        BadInputError: it is broken, or in another encoding.
    """
    try:
        content = path.read_bytes()
        text = content.decode(json.detect_encoding(content))
    except OSError as error:
        if problem := path_problem(path):
            raise SourceError(problem) from error
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}; {whole}") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 at byte {error.start}; convert the file") from error
    return parse(text, str(path), whole)


def is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and not isinstance(value[0], dict | list)


def document_rows(path: Path, records: Sequence[Any], pairs: bool = False) -> Iterator[Row]:
    """Yields every object of an array with its position, counted from 1; see `read_jsonl`.

    Raises:
        BadInputError: an item is no object.
    """
    for number, value in enumerate(records, 1):
        if pairs and is_pair(value):
            yield number, numbered(len(value)), value
            continue
        if not isinstance(value, dict):
            raise BadInputError(
                f"{path} item {number}: expected a JSON object, found {kind(value)}"
            )
        yield number, tuple(value), tuple(value.values())


def parse(text: str, where: str, whole: str = "") -> Any:
    """Parses one JSON value.

    Args:
        whole: describes the expected content if the text is a whole file instead of a line.

    Raises:
        BadInputError: it is broken, or cannot be stored.
    """
    try:
        value: object = json.loads(text, object_pairs_hook=distinct)
    except json.JSONDecodeError as error:
        line = f":{error.lineno}" if whole else ""
        expected = whole or "every line must hold one JSON object"
        raise BadInputError(
            f"{where}{line}: broken JSON at column {error.colno}: {error.msg}; {expected}"
        ) from error
    except RecursionError as error:
        raise BadInputError(f"{where}: the JSON is nested too deeply") from error
    except ValueError as error:  # a duplicate key, or a number of thousands of digits
        raise BadInputError(f"{where}: {error}") from error
    check_characters(text, value, where)
    return value


def check_characters(text: str, value: object, where: str) -> None:
    """Refuses an escaped unpaired surrogate, which is not valid text.

    Raises:
        BadInputError: the value, which was read from the text, has one.
    """
    if "\\u" not in text:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadInputError(
            f"{where}: an escape names half a character (a lone surrogate); remove it"
        ) from error
    except RecursionError as error:
        raise BadInputError(f"{where}: the JSON is nested too deeply") from error


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's values by key.

    Raises:
        ValueError: a key occurs twice, which a dict would silently drop.
    """
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the object has two keys {twice!r}; rename one of them")
    return value


def kind(value: object) -> str:
    """Describes a JSON value's type."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    numbers = {int: "a number", float: "a number", type(None): "null"}
    return (names | numbers).get(type(value), type(value).__name__)
