"""CSV and TSV with a header line; quoted fields may hold line breaks."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from graph.errors import BadInputError
from graph.readers.text_lines import read_lines

FIELD_LIMIT = 1 << 27  # characters in one field; the csv module's own limit cuts long texts short

Row = tuple[int, Sequence[str], Sequence[object]]  # line, column names, values


def read_delimited(path: Path, delimiter: str) -> Iterator[Row]:
    """Yields every record with the line it starts on; blank lines are passed over.

    Raises:
        BadInputError: no header or no record, a row of another length, or broken quoting.
    """
    csv.field_size_limit(FIELD_LIMIT)
    reader = csv.reader(read_lines(path), delimiter=delimiter, strict=True)
    columns: tuple[str, ...] = ()
    start = 1
    try:
        for values in reader:
            line, start = start, reader.line_num + 1
            if not values:
                continue
            if not columns:
                columns = tuple(value.strip() for value in values)
                continue
            if len(values) != len(columns):
                raise BadInputError(
                    f"{path}:{line}: {len(values)} fields where the header has {len(columns)} "
                    f"({', '.join(columns)}); check the delimiter and the quoting"
                )
            yield line, columns, values
    except csv.Error as error:
        raise BadInputError(f"{path}:{start}: broken quoting: {error}") from error
    if not columns:
        raise BadInputError(f"{path}: the file is empty; expected a header line")
