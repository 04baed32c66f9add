"""Node and edge files of any format, told apart by their names."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from graph.errors import BadInputError, SourceError
from graph.progress import Progress, silent
from graph.readers.delimited import read_delimited
from graph.readers.fields import (
    EdgeFields,
    NodeFields,
    NodeIndexes,
    check_optional,
    edge_indexes,
    node_indexes,
)
from graph.readers.jsonl import Row, kind, read_jsonl
from graph.readers.parquet import read_parquet_edges, read_parquet_nodes
from graph.records import ColumnCollector, EdgeTable, NodeTable, Source

REPORT_EVERY = 50_000  # records between two progress reports


def rows_of(path: Path) -> Callable[[], Iterator[Row]] | None:
    """The reader of a text format; None for Parquet.

    Raises:
        SourceError: the name tells no format.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (".jsonl", ".ndjson", ".json"):
        return lambda: read_jsonl(path)
    if suffix in (".csv", ".tsv", ".tab"):
        return lambda: read_delimited(path, "," if suffix == ".csv" else "\t")
    if suffix in (".parquet", ".pq"):
        return None
    raise SourceError(
        f"{path}: unknown format; the name must end in "
        ".jsonl, .csv, .tsv or .parquet, each may be followed by .gz"
    )


def read_nodes(path: Path, fields: NodeFields, progress: Progress = silent) -> NodeTable:
    """Reads a node file.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is damaged, or a column is missing or of a wrong type.
    """
    rows = rows_of(path)
    if rows is None:
        return read_parquet_nodes(path, fields)
    collector = ColumnCollector(5)
    first: Sequence[str] = ()
    last: Sequence[str] = ()
    found: set[str] = set()
    for line, columns, values in rows():
        if not last or columns != last:
            indexes = node_indexes(f"{path}:{line}", columns, fields)
            first, last = first or columns, columns
            found |= found_in(indexes, fields)
        try:
            collector.add(line, node_row(values, indexes))
        except TypeError as error:
            raise wrong_type(path, line, columns, values, indexes.used()) from error
        if line % REPORT_EVERY == 0:
            progress(f"read {path.name}", line, 0)
    if not last:
        raise BadInputError(f"{path}: no node in it, only blank lines or a header")
    check_optional(str(path), first, fields, found)
    progress(f"read {path.name}", line, line)
    places, filled = collector.finish()
    return NodeTable(Source(str(path)), places, *filled)


def read_edges(path: Path, fields: EdgeFields, progress: Progress = silent) -> EdgeTable:
    """Reads an edge file.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is damaged, or a column is missing or of a wrong type.
    """
    rows = rows_of(path)
    if rows is None:
        return read_parquet_edges(path, fields)
    collector = ColumnCollector(2)
    last: Sequence[str] = ()
    for line, columns, values in rows():
        if not last or columns != last:
            source, target = edge_indexes(f"{path}:{line}", columns, fields)
            last = columns
        try:
            collector.add(line, (name_of(values[source]), name_of(values[target])))
        except TypeError as error:
            raise wrong_type(path, line, columns, values, (source, target)) from error
        if line % REPORT_EVERY == 0:
            progress(f"read {path.name}", line, 0)
    places, filled = collector.finish()
    progress(f"read {path.name}", len(places), len(places))
    return EdgeTable(Source(str(path)), places, *filled)


def found_in(indexes: NodeIndexes, fields: NodeFields) -> set[str]:
    """Which optional columns a row has."""
    found = {name for name in ("label", "split", "group") if getattr(indexes, name) is not None}
    return found | ({"text"} if len(indexes.text) >= max(len(fields.text), 1) else set())


def node_row(values: Sequence[object], indexes: NodeIndexes) -> tuple[str | None, ...]:
    """Id, text, label, split and group.

    Raises:
        TypeError: a value is neither a string nor a whole number.
    """
    label = None if indexes.label is None else label_of(values[indexes.label])
    split = None if indexes.split is None else name_of(values[indexes.split])
    group = None if indexes.group is None else name_of(values[indexes.group])
    texts = [text_of(values[index]) for index in indexes.text]
    text = texts[0] if len(texts) == 1 else "\n".join(text for text in texts if text)
    return name_of(values[indexes.id]), text, label, split, group


def name_of(value: object) -> str | None:
    """An id, a group or a split: whole numbers become strings."""
    if value is None or type(value) is str:
        return value
    if type(value) is int:
        return str(value)
    raise TypeError


def label_of(value: object) -> str | None:
    """A label; a negative number says that there is none."""
    name = name_of(value)
    return None if name is not None and name[:1] == "-" and name[1:].isdecimal() else name


def text_of(value: object) -> str | None:
    if value is None or type(value) is str:
        return value
    raise TypeError


def wrong_type(
    path: Path, line: int, columns: Sequence[str], values: Sequence[object], used: Sequence[int]
) -> BadInputError:
    """Finds the value at fault."""
    for index in used:
        try:
            name_of(values[index])
        except TypeError:
            return wrong_value(
                path, line, columns[index], values[index], "a string or whole number"
            )
    index = next(index for index in used if type(values[index]) is int)
    return wrong_value(path, line, columns[index], values[index], "a string")


def wrong_value(path: Path, line: int, column: str, value: object, wanted: str) -> BadInputError:
    return BadInputError(
        f"{path}:{line}: column {column!r} must be {wanted}, found {kind(value)}: {value!r:.60}"
    )
