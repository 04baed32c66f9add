"""Plain edge lists: two ids per line, separated by blanks, tabs, commas or semicolons."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from understudy.graph.errors import BadInputError
from understudy.graph.readers.delimited import Head, Header, Row, numbered
from understudy.graph.readers.text_lines import LONE_RETURN, read_lines
from understudy.progress import Progress, silent

COMMENTS = ("#", "%")
ATTRIBUTES = re.compile(r"\s\{")  # of an edge, as NetworkX writes them after its ends, up to a }


def edge_list_head(path: Path, header: Header) -> Head | None:
    """The columns by the first line that is no comment; None if it is no edge.

    Raises:
        SourceError: the file cannot be opened.
        BadInputError: it is empty, not UTF-8, or damaged.
    """
    for line, text in enumerate(read_lines(path), 1):
        text = without_attributes(text.strip())
        if text and not text.startswith(COMMENTS):
            names = fields(text, separator_of(text))
            if header.usual(names) or header.wanted:
                return Head(line, tuple(names), named=True)
            return Head(line, numbered(len(names)), named=False) if len(names) > 1 else None
    return None


def read_edge_list(
    path: Path,
    head: Head | None = None,
    progress: Progress = silent,
    remark: Callable[[str], None] | None = None,
) -> Iterator[Row]:
    """Yields every line as columns 1, 2, …, or under the names of its head.

    Args:
        head: see `edge_list_head`.
        remark: called at the end about skipped content.

    Raises:
        BadInputError: a line holds fewer than two ids, or not as many fields as the first one.
    """
    separator: str | None = ""
    names = head.columns if head is not None and head.named else ()
    width = comments = 0
    for line, text in enumerate(read_lines(path, progress), 1):
        text = without_attributes(text.strip())
        if not text:
            continue
        if text.startswith(COMMENTS):
            comments += 1
            continue
        if separator == "":
            separator = separator_of(text)
            if names:
                continue
        values = fields(text, separator)
        if len(values) < 2:
            raise BadInputError(
                f"{path}:{line}: expected two node ids, separated by blanks, tabs, commas or "
                f"semicolons, found {text!r:.60}; let the name of a table with another delimiter "
                "end in .csv"
            )
        if "\r" in text:
            raise BadInputError(f"{path}:{line}: {LONE_RETURN}")
        count = len(values)
        if count != (width := width or count):
            raise BadInputError(
                f"{path}:{line}: {count} fields where the first edge has {width}; a line must hold "
                "one edge (of an adjacency list, write a line for each of a node's neighbours)"
            )
        yield line, names if len(names) == count else numbered(count), values
    if comments and remark is not None:
        remark(f"lines that begin with {' or '.join(COMMENTS)}, skipped: {comments:,}")


def separator_of(text: str) -> str | None:
    """The separator of a line's fields; None: blanks."""
    return next((sign for sign in "\t,;" if sign in text), None)


def fields(text: str, separator: str | None) -> list[str]:
    return [part.strip() for part in text.split(separator)]


def without_attributes(text: str) -> str:
    """A line without the attributes in braces that NetworkX writes after an edge's ends."""
    attributes = ATTRIBUTES.search(text) if text.endswith("}") else None
    return text if attributes is None else text[: attributes.start()].rstrip()
