"""Plain edge lists: two ids a line, apart by blanks, tabs, commas or semicolons; # is a comment."""

from collections.abc import Iterator
from pathlib import Path

from understudy.graph.errors import BadInputError
from understudy.graph.progress import Progress, silent
from understudy.graph.readers.delimited import Header, Row
from understudy.graph.readers.text_lines import read_lines

COMMENTS = ("#", "%")


def read_edge_list(path: Path, header: Header, progress: Progress = silent) -> Iterator[Row]:
    """Yields every line as columns 1, 2, …; a first line of usual names is a header.

    Raises:
        BadInputError: a line holds fewer than two ids.
    """
    separator: str | None = ""
    names: tuple[str, ...] = ()
    for line, text in enumerate(read_lines(path, progress), 1):
        text = text.strip()
        if not text or text.startswith(COMMENTS):
            continue
        if separator == "":
            separator = next((sign for sign in "\t,;" if sign in text), None)
            parts = tuple(part.strip() for part in text.split(separator))
            if header.usual(parts) or header.wanted:
                names = parts
                continue
        values = [part.strip() for part in text.split(separator)]
        if len(values) < 2:
            raise BadInputError(f"{path}:{line}: expected two node ids, found {text!r:.60}")
        count = len(values)
        yield line, names if len(names) == count else numbered(count), values


def numbered(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))
