"""Checks the first lines of files before the files are read as a whole."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from understudy.graph.errors import BadInputError, MissingColumnError
from understudy.graph.readers.arrow_columns import check_edge_columns, check_node_columns
from understudy.graph.readers.delimited import Head, column_names
from understudy.graph.readers.dialects import DELIMITERS, NAMES, likeliest, looks_like_data
from understudy.graph.readers.edge_lists import COMMENTS
from understudy.graph.readers.fields import (
    EdgeFields,
    NodeFields,
    check_named_columns,
    check_text,
    edge_indexes,
    listed,
    node_indexes,
)
from understudy.graph.readers.finding import find_id, find_texts
from understudy.graph.readers.formats import GRAPHS, PARQUET, READERS, Files, Kind, Rows, suffix_of
from understudy.graph.readers.packed import is_packed
from understudy.graph.readers.parquet import ParquetColumns
from understudy.graph.readers.tables import known, known_ends
from understudy.graph.readers.text_lines import read_lines
from understudy.progress import silent

RoleColumns = dict[str, set[str]]  # role → its columns
TITLE_LINES = 20  # among which a header is looked for below a first line that is none


def check_beginnings(
    nodes: Sequence[Path],
    edges: Sequence[Path],
    node_fields: NodeFields,
    edge_fields: EdgeFields,
    files: Files,
) -> None:
    """Checks the columns of every file by its first line; single-value files come last, because
    they are read in full.

    Files of registered readers and compressed Parquet files are not checked.

    Raises:
        SourceError: a file cannot be read.
        BadInputError: its content does not fit its name, or a required or requested column is
            missing.
    """
    used_columns: RoleColumns = {}
    open_ended = False  # a later record may have other columns
    first: tuple[str, list[str]] | None = None
    both = [*((path, True) for path in nodes), *((path, False) for path in edges)]
    for path, is_node in sorted(both, key=late):
        if not is_node:
            check_edge_file(path, edge_fields, files)
            continue
        columns, used = node_columns(path, node_fields, files)
        first = first or (str(path), columns)
        open_ended = open_ended or used is None
        for role, names in (used or {}).items():
            used_columns.setdefault(role, set()).update(names)
    if first is not None and not open_ended:
        check_named_columns(*first, node_fields, used_columns)


def late(file: tuple[Path, bool]) -> bool:
    """Whether a file must be read in full to know anything about it."""
    return suffix_of(file[0], "edges") in GRAPHS


def node_columns(
    path: Path, fields: NodeFields, files: Files
) -> tuple[list[str], RoleColumns | None]:
    """The columns of a node file, and their roles; None if later records may have others.

    Raises:
        BadInputError: see `node_indexes` and `check_text`.
    """
    suffix = suffix_of(path, "nodes")
    if suffix in READERS or (suffix in PARQUET and is_packed(path)):
        return [], None
    if suffix in PARQUET:
        table = ParquetColumns(path)
        return table.names, named(table.names, check_node_columns(table, fields).roles())
    rows = files.rows(path, "nodes", silent)
    begun = beginning(rows)
    if begun is None:
        return [], None
    place, columns = begun
    fields = known(rows, columns, fields)
    with header_doubted(path, rows, files.options.delimiter, suits_nodes(fields), "nodes"):
        indexes = node_indexes(rows.source.at(place), columns, fields)
        check_no_data(path, rows.head, files, (indexes.id,))
        roles = indexes.roles()
        if rows.head is None:
            return columns, None
        used = named(columns, roles)
        check_text(rows.source.file, columns, fields, used.get("text", ()))
    return columns, used


def check_edge_file(path: Path, fields: EdgeFields, files: Files) -> None:
    """Checks that a file has the two ends of edges.

    Raises:
        BadInputError: see `edge_indexes`.
    """
    suffix = suffix_of(path, "edges")
    if suffix in READERS or (suffix in PARQUET and is_packed(path)):
        return
    if suffix in PARQUET:
        check_edge_columns(ParquetColumns(path), fields)
        return
    rows = files.rows(path, "edges", silent)
    if (begun := beginning(rows)) is not None:
        place, columns = begun
        with header_doubted(path, rows, files.options.delimiter, suits_edges(fields), "edges"):
            named_ends = known_ends(rows, columns, fields)
            ends = edge_indexes(rows.source.at(place), columns, named_ends)
            check_no_data(path, rows.head, files, ends)


def beginning(rows: Rows) -> tuple[int, list[str]] | None:
    """The place of a file's first line or record, and its columns; None for an empty file."""
    if rows.head is not None:
        return rows.head.line, list(rows.head.columns)
    first = next(rows.rows, None)
    return None if first is None else (first[0], list(first[1]))


@contextmanager
def header_doubted(
    path: Path, rows: Rows, delimiter: str, suits: Callable[[Sequence[str]], bool], kind: Kind
) -> Iterator[None]:
    """Extends the error for a missing column: the first line may be a title above the header, or
    data, be separated by blanks, or use another delimiter than the one given for all files.

    Args:
        suits: whether names are those of a header.
    """
    try:
        yield
    except MissingColumnError as error:
        if rows.head is not None and (problem := blanks_problem(path, delimiter, kind)):
            raise MissingColumnError(problem) from error
        if rows.head is None or not rows.head.named:
            raise
        line = rows.head.columns[0] if len(rows.head.columns) == 1 else ""
        if delimiter and (sign := likeliest(line, delimiter)) != delimiter:
            raise MissingColumnError(
                f"{error}; --delimiter applies to all files, but this one uses another, the "
                f"{NAMES[sign]}: leave it out to have it detected, or write all files with the "
                "same one"
            ) from error
        if problem := title_problem(path, rows.head, delimiter, suits):
            raise MissingColumnError(problem) from error
        raise MissingColumnError(
            f"{error}; if this is no header but data, use --no-header"
        ) from error


def blanks_problem(path: Path, delimiter: str, kind: Kind) -> str:
    """The problem if a table is a plain edge list, with comments or blanks between ids, or its
    columns are separated by blanks; or ""."""
    lines = [line.strip() for line in islice(read_lines(path), TITLE_LINES) if line.strip()]
    first, *others = [line for line in lines if not line.startswith(COMMENTS)] or [""]
    names = first.split()
    apart = len(names) > 1 and not any(s and s in first for s in (delimiter, *DELIMITERS))
    if kind == "edges":
        like = "fields are separated by blanks" if apart else "first line is a comment"
        if (apart or lines[0].startswith(COMMENTS)) and all(
            len(line.split()) == len(names) for line in others
        ):
            return (
                f"{path}: its {like}, as in a plain edge list; let its name end in .edgelist, or "
                "write it as a table"
            )
    elif apart and (place := find_id(names, "")) is not None and find_texts(names, ()):
        return (
            f"{path}: its columns seem to be separated by blanks ({listed(names)}, of which "
            f"{names[place]} would be the id); write commas between them, or give --delimiter "
            "space if each text with a blank in it is in quotes"
        )
    return ""


def check_no_data(path: Path, head: Head | None, files: Files, ids: Sequence[int]) -> None:
    """Refuses a header whose columns of ids are called by numbers: options that name the columns of
    a first line of data would lose it.

    Args:
        ids: positions of the columns with ids.

    Raises:
        BadInputError: it is probably data, and no option says which.
    """
    if head is None or not head.named or files.options.header is not None:
        return
    if looks_like_data(head.columns[index] for index in ids):
        raise BadInputError(
            f"{path}:{head.line}: the first line looks like data, as an id in it is a number "
            f"({listed(head.columns)}): with --no-header it is data, and the columns are called 1, "
            "2, …; with --header it names the columns"
        )


def title_problem(
    path: Path, head: Head, delimiter: str, suits: Callable[[Sequence[str]], bool]
) -> str:
    """The problem if a title stands above the header; empty if no header is found below.

    A title, as reports have them, has fewer fields than the header, or empty ones.

    Args:
        head: the first line, which lacks a column.
        suits: whether names are those of a header.
    """
    filled = sum(map(bool, head.columns))
    for number, line in islice(enumerate(read_lines(path), 1), head.line, TITLE_LINES):
        sign = delimiter or likeliest(line, ",")
        names = column_names(next(csv.reader([line], delimiter=sign, skipinitialspace=True), []))
        if len(names) > filled and all(names) and suits(names):
            return (
                f"{path}:{head.line}: the first line is no header, but line {number} looks like "
                f"it ({listed(names)}); remove the lines above it"
            )
    return ""


def suits_nodes(fields: NodeFields) -> Callable[[Sequence[str]], bool]:
    def suits(names: Sequence[str]) -> bool:
        try:
            node_indexes("", names, fields)
        except BadInputError:
            return False
        return not fields.text_needed or bool(find_texts(names, fields.text))

    return suits


def suits_edges(fields: EdgeFields) -> Callable[[Sequence[str]], bool]:
    def suits(names: Sequence[str]) -> bool:
        try:
            edge_indexes("", names, fields)
        except BadInputError:
            return False
        return True

    return suits


def named(columns: Sequence[str], roles: dict[str, tuple[int, ...]]) -> RoleColumns:
    return {role: {columns[index] for index in indexes} for role, indexes in roles.items()}
