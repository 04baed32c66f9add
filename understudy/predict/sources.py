"""Reads the rows of a file of any format, or the unlabelled nodes of a graph, as a stream.

At most a batch of rows is in memory. A row that cannot be read becomes a row with a problem.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from understudy.client.models import Node
from understudy.graph.errors import BadInputError, GraphError
from understudy.graph.mutable.view import GraphView
from understudy.graph.readers.arrow_columns import is_textual, python_values
from understudy.graph.readers.beginnings import title_problem
from understudy.graph.readers.delimited import Head, Header, Refuse, read_delimited, table_head
from understudy.graph.readers.delimited import Row as Record
from understudy.graph.readers.dialects import find_dialect
from understudy.graph.readers.jsonl import document_rows, read_document, read_jsonl
from understudy.graph.readers.pandas_index import counted_index
from understudy.graph.readers.parquet import DAMAGED, open_parquet
from understudy.graph.text_graph import UNLABELED
from understudy.predict.columns import Columns, QueryFields
from understudy.predict.formats import Format
from understudy.predict.rows import Row
from understudy.progress import Progress, silent

PARQUET_ROWS = 4_096  # decoded at once
STDIN = "stdin"  # its name in messages

Tell = Callable[[str], None]


@dataclass(frozen=True)
class TableOptions:
    """Options of the input.

    Attributes:
        delimiter: of text files; empty: detected from the header.
        header: whether the first line names the columns; None: yes, unless it is numbers.
    """

    fields: QueryFields = field(default_factory=QueryFields)
    delimiter: str = ""
    header: bool | None = None


def read_rows(
    path: Path, kind: Format, options: TableOptions, tell: Tell, progress: Progress = silent
) -> Iterator[Row]:
    """Yields every row of a file.

    Args:
        tell: receives messages about what was detected, before the first row.

    Raises:
        SourceError: the file cannot be opened.
        BadInputError: it is damaged, not UTF-8, or has no column of ids or texts.
    """
    if kind.base == "parquet":
        yield from parquet_rows(path, options, tell, progress)
        return
    if kind.base in ("jsonl", "json"):
        yield from object_rows(path, kind, options, tell, progress)
        return
    usual = "," if kind.base == "csv" else "\t"
    dialect = find_dialect(path, usual, options.delimiter)
    header = Header(options.header, lambda names: False)  # of one file: no other to compare with
    columns = Columns(str(path), options.fields, options.header is False, dialect.remarks)
    head = table_head(path, usual, options.delimiter, header)
    if head is not None and head.named:
        check_header(path, columns, head, options.delimiter)
    yield from text_rows(
        columns,
        lambda refuse: read_delimited(path, dialect, header, progress, refuse),
        tell,
        table=True,
    )


def check_header(path: Path, columns: Columns, head: Head, delimiter: str) -> None:
    """Checks the columns by the first line, as every row below a title would be a bad one.

    Raises:
        BadInputError: see `Columns.check`, or the line is a title above the header.
    """

    def suits(names: Sequence[str]) -> bool:
        try:
            Columns(columns.file, columns.fields).check(names)
        except BadInputError:
            return False
        return True

    try:
        columns.check(head.columns)
    except BadInputError as error:
        if problem := title_problem(path, head, delimiter, suits):
            raise BadInputError(problem) from error
        raise


def stdin_rows(
    path: Path, kind: Format, options: TableOptions, tell: Tell, progress: Progress = silent
) -> Iterator[Row]:
    """Yields the rows of stdin; messages name it instead of its temporary file.

    Raises:
        SourceError, BadInputError: as in `read_rows`.
    """

    def renamed(words: str) -> str:
        return words.replace(str(path), STDIN)

    def report(stage: str, done: int, total: int) -> None:
        progress(stage.replace(path.name, STDIN), done, total)

    try:
        for row in read_rows(path, kind, options, lambda words: tell(renamed(words)), report):
            yield replace(row, where=renamed(row.where), problem=renamed(row.problem))
    except GraphError as error:
        raise type(error)(renamed(str(error))) from error


def object_rows(
    path: Path, kind: Format, options: TableOptions, tell: Tell, progress: Progress
) -> Iterator[Row]:
    """Yields the objects of JSON lines, or of one array; their keys may differ."""
    columns = Columns(str(path), options.fields)
    document = read_document(path, progress) if kind.base == "json" else None

    def read(refuse: Refuse, progress: Progress = progress) -> Iterator[Record]:
        if document is not None:
            return document_rows(path, document["nodes"])
        return read_jsonl(path, progress, refuse=refuse)

    check_keys(columns, read(lambda line, error: None, silent))
    yield from text_rows(columns, read, tell, table=False)
    if len(columns.known) > 1:
        tell("not all rows had the same keys; those of all of them:")
        for words in columns.notes(list(columns.seen)):
            tell(words)


def check_keys(columns: Columns, records: Iterator[Record]) -> None:
    """Refuses a key that an option names and no object has, before any row is answered.

    Reads until all keys are found, which is usually the first object.

    Raises:
        BadInputError: a key is missing; the message names the option.
    """
    missing = {name.lower() for _, name in columns.fields.named_columns()}
    seen: dict[str, None] = {}
    while missing and (record := next(records, None)) is not None:
        seen.update(dict.fromkeys(record[1]))
        missing.difference_update(name.lower() for name in record[1])
    if missing:
        columns.check_named(list(seen))


def text_rows(
    columns: Columns, read: Callable[[Refuse], Iterator[Record]], tell: Tell, table: bool
) -> Iterator[Row]:
    """Yields the records of a text file in order, including those that cannot be read.

    Args:
        table: whether all records have the columns of the first one.
    """
    refused: list[Row] = []

    def refuse(line: int, error: BadInputError) -> None:
        where = f"{columns.file}:{line}"
        refused.append(Row(line, where, None, str(error).removeprefix(f"{where}: ")))

    first = True
    for line, names, values in read(refuse):
        if first:
            first = False
            columns.numbered = columns.numbered and names[0] == "1"
            if table:
                columns.check(names)
            for words in columns.notes(names):
                tell(words)
        yield from refused
        refused.clear()
        yield row_of(columns, line, f"{columns.file}:{line}", names, values)
    yield from refused


def parquet_rows(
    path: Path, options: TableOptions, tell: Tell, progress: Progress
) -> Iterator[Row]:
    """Yields the rows of a Parquet file; decodes only the columns that are needed."""
    file = open_parquet(path)
    done, total = 0, file.metadata.num_rows
    index = counted_index(file.schema_arrow, total)
    names = [*file.schema_arrow.names, *([] if index is None else [index[0]])]
    columns = Columns(str(path), options.fields)
    columns.check(names)
    for words in columns.notes(names):
        tell(words)
    needed = [name for group in columns.indexes(names).roles(names).values() for name in group]
    stored = [name for name in dict.fromkeys(needed) if name in file.schema_arrow.names]
    batches = file.iter_batches(PARQUET_ROWS, columns=stored)
    try:
        for batch in batches:
            found = [values_of(column) for column in batch.columns]
            read = batch.schema.names
            if index is not None and index[0] in needed:
                read = [*read, index[0]]
                found.append(index[1].slice(done, batch.num_rows).to_pylist())
            for place, values in enumerate(zip(*found, strict=True), done + 1):
                where = f"{path} row {place}"
                yield row_of(columns, place, where, read, values)
            done += batch.num_rows
            progress(f"read {path.name}", done, total)
    except DAMAGED as error:
        raise BadInputError(f"{path}: damaged after row {done}: {error}") from error


def values_of(column: pa.Array) -> list[object]:
    """Converts a column; bytes become text as in an import, unless they are not UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values: list[object] = python_values(column)
    if not is_textual(column.type):
        return values
    return [decoded(value) if isinstance(value, bytes) else value for value in values]


def decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def row_of(
    columns: Columns, place: int, where: str, names: Sequence[str], values: Sequence[object]
) -> Row:
    try:
        return Row(place, where, columns.node(names, values))
    except BadInputError as error:
        return Row(place, where, None, str(error))


def unlabeled_rows(graph: GraphView) -> Iterator[Row]:
    """Yields every node without a label."""
    for number, row in enumerate(unlabeled(graph), 1):
        name = graph.id(row)
        yield Row(number, f"node {name!r}", Node(id=name))


def unlabeled(graph: GraphView) -> list[int]:
    """Finds the rows of the nodes without a label."""
    return [row for row in graph.live_rows().tolist() if graph.label(row) == UNLABELED]
