"""Reads CSV and similar formats; quoted fields may hold line breaks."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.graph.errors import BadInputError
from understudy.graph.formulas import text_of_formula, texts_of_formulas
from understudy.graph.readers.dialects import (
    Dialect,
    find_dialect,
    first_line,
    looks_like_data,
    split_raw,
)
from understudy.graph.readers.fields import listed
from understudy.graph.readers.text_lines import LONE_RETURN, read_lines
from understudy.progress import Progress, silent

Row = tuple[int, Sequence[str], Sequence[object]]  # line, column names, values
Record = tuple[int, int, list[str]]  # first line, lines, fields
Refuse = Callable[[int, BadInputError], None]  # called with the line of an unreadable record
Remark = Callable[[str], None]
UNCLOSED = (
    "a quote opens a field, and none ends it; if quotes are letters here, double them and enclose "
    "the field in quotes"
)
EMPTY_ROWS = "rows without any value, skipped"
SWALLOWING = "quoted fields run over lines that could be records by themselves"
FORMULAS = 'formulas such as ="007" read as the text in them, in rows'


def stop(_: int, error: BadInputError) -> None:
    """Stops at the first record that cannot be read.

    Raises:
        BadInputError: always.
    """
    raise error


@dataclass(frozen=True)
class Header:
    """Whether the first line names the columns."""

    wanted: bool | None = None  # None: it does, unless it holds only numbers
    usual: Callable[[Sequence[str]], bool] = bool  # whether names are usual for a header


@dataclass(frozen=True)
class Head:
    """The columns of a file by its first line."""

    line: int
    columns: tuple[str, ...]
    named: bool  # whether the line names them; otherwise they are called 1, 2, …


def table_head(path: Path, usual: str, given: str, header: Header) -> Head | None:
    """The columns of a table, reading only its first line.

    None if the first line is not enough: there is no line, or a quoted name continues on the next.

    Args:
        usual: the delimiter that the file's name suggests.
        given: the delimiter that the user named; empty to infer it from the line.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is empty, not UTF-8, holds JSON, or may have no header.
    """
    first = first_line(path, read_lines(path), usual, given)
    if not first.text or first.text.count('"') % 2 or "\r" in first.text:
        return None
    (values,) = csv.reader([first.text], delimiter=first.delimiter, skipinitialspace=True)
    return head_of(path, first.number, values, header)


def head_of(path: Path, line: int, values: Sequence[str], header: Header) -> Head:
    """The columns of a table by its first record.

    Raises:
        BadInputError: it may have no header.
    """
    names = column_names(values)
    if is_header(path, line, names, header):
        return Head(line, names, named=True)
    return Head(line, numbered(len(values)), named=False)


def column_names(values: Sequence[str]) -> tuple[str, ...]:
    """Names without blanks, formulas, and the repeated byte order marks of files saved twice."""
    names = (value.strip().strip("\ufeff").strip() for value in values)
    return tuple(map(text_of_formula, names))


def numbered(count: int) -> tuple[str, ...]:
    """The names of columns without names."""
    return tuple(str(number) for number in range(1, count + 1))


def read_delimited(
    path: Path,
    dialect: Dialect | str,
    header: Header | None = None,
    progress: Progress = silent,
    refuse: Refuse = stop,
    remark: Remark | None = None,
) -> Iterator[Row]:
    """Yields every record with the line it starts on; blank lines are skipped.

    Args:
        dialect: or the delimiter that the file's name suggests.
        header: without a header line, columns are called 1, 2, ….
        refuse: called for a record of another length, before the next one is yielded.
        remark: called at the end with possible faults. Rows of empty fields, which spreadsheets
            leave below a table, are skipped only if it is given.

    Raises:
        BadInputError: no header or no record, a row of another length, or broken quoting.
    """
    if isinstance(dialect, str):
        dialect = find_dialect(path, dialect)
    columns: tuple[str, ...] = ()
    noted: dict[str, list[int]] = {EMPTY_ROWS: [], SWALLOWING: [], FORMULAS: []}
    for line, count, values in records(path, dialect, progress):
        if not values:
            continue
        if not columns:
            head = head_of(path, line, values, header or Header())
            columns = head.columns
            if head.named:
                continue
        if remark is not None and not any(value.strip() for value in values):
            noted[EMPTY_ROWS].append(line)
            continue
        try:
            check_fields(path, line, values, columns)
            check_not_swallowed(path, line, count, values, dialect)
        except BadInputError as error:
            refuse(line, error)
            continue
        if count > 1 and may_swallow(values, count, dialect.delimiter):
            noted[SWALLOWING].append(line)
        if dialect.formulas and (texts := texts_of_formulas(values)) != values:
            noted[FORMULAS].append(line)
            values = texts
        yield line, columns, values
    if not columns:
        raise BadInputError(f"{path}: the file is empty; expected a header line")
    for what, lines in noted.items():
        if lines and remark is not None:
            remark(f"{what}: {len(lines):,} (first: line {lines[0]:,})")


def records(path: Path, dialect: Dialect, progress: Progress) -> Iterator[Record]:
    """Every record of the file, including the header."""
    lines = read_lines(path, progress)
    for _ in range(dialect.skipped):
        next(lines)
    start = dialect.skipped + 1
    if not dialect.quoted:
        for line, text in enumerate(lines, start):
            yield line, 1, split_raw(text, dialect.delimiter)
        return
    reader = csv.reader(
        lines,
        delimiter=dialect.delimiter,
        escapechar="\\" if dialect.backslash else None,
        skipinitialspace=True,  # blanks around a field are dropped anyway
        strict=True,
    )
    try:
        for values in reader:
            end = reader.line_num + dialect.skipped + 1
            yield start, end - start, values
            start = end
    except csv.Error as error:
        if "new-line character" in str(error):
            raise BadInputError(f"{path}:{start}: {LONE_RETURN}") from error
        reason = UNCLOSED if "unexpected end" in str(error) else error
        raise BadInputError(f"{path}:{start}: broken quoting: {reason}") from error


def is_header(path: Path, line: int, names: Sequence[str], header: Header) -> bool:
    """Whether a file's first record names its columns.

    Raises:
        BadInputError: it may also be data, and no option says which.
    """
    if header.wanted is not None:
        return header.wanted or header.usual(names)
    if looks_like_data(names):
        raise BadInputError(
            f"{path}:{line}: the first line holds numbers only ({listed(names)}): with "
            "--no-header it is data, and the columns are called 1, 2, …; with --header it names "
            "the columns"
        )
    return True


def check_fields(path: Path, line: int, values: Sequence[str], columns: Sequence[str]) -> None:
    """Refuses a row of another length than the header's.

    Raises:
        BadInputError: it has more fields, or fewer.
    """
    if len(values) != len(columns):
        raise BadInputError(
            f"{path}:{line}: {len(values)} fields where the header has {len(columns)} "
            f"({listed(columns)}); check the delimiter and the quoting"
        )


def may_swallow(values: Sequence[str], count: int, delimiter: str) -> bool:
    """Whether every line within a record has as many fields as a record."""
    lines = delimiter.join(values).split("\n")
    signs = len(values) - 1
    return signs > 0 and len(lines) == count and all(x.count(delimiter) == signs for x in lines)


def check_not_swallowed(
    path: Path, line: int, count: int, values: Sequence[str], dialect: Dialect
) -> None:
    """Refuses a quoted field that spans lines which are records themselves.

    Raises:
        BadInputError: a literal quote has opened the field.
    """
    if count == 1 or dialect.delimiter != "\t" or len(values) < 2:
        return
    tabs = sum(value.count("\t") for value in values) + len(values) - 1
    if tabs == count * (len(values) - 1):
        raise BadInputError(
            f"{path}:{line}: a quote opens a field that ends {count - 1} lines further on, and "
            "each of these lines has all fields; if quotes are letters here, double them and "
            "enclose the field in quotes, or remove them"
        )
