"""Parquet node and edge files; a place in them is a row, counted from 1."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from graph.errors import BadInputError
from graph.readers.fields import EdgeFields, NodeFields, check_optional, edge_indexes, node_indexes
from graph.readers.text_lines import open_bytes
from graph.records import EdgeTable, NodeTable, Source, null_strings
from graph.text_graph import string_array


def read_parquet_nodes(path: Path, fields: NodeFields) -> NodeTable:
    """Reads a Parquet node file.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is damaged or empty, or a column is missing or of a wrong type.
    """
    file = open_parquet(path)
    columns = file.schema_arrow.names
    indexes = node_indexes(str(path), columns, fields)
    found = {name for name in ("label", "split", "group") if getattr(indexes, name) is not None}
    if len(indexes.text) >= max(len(fields.text), 1):
        found.add("text")
    check_optional(str(path), columns, fields, found)
    count = file.metadata.num_rows

    def column(index: int | None, numbers: bool = True) -> pa.LargeStringArray:
        return null_strings(count) if index is None else read_column(path, file, index, numbers)

    texts = [column(index, numbers=False) for index in indexes.text]
    return NodeTable(
        source=Source(str(path), "row"),
        ids=column(indexes.id),
        texts=texts[0] if len(texts) == 1 else joined(texts),
        labels=without_negative(column(indexes.label)),
        splits=column(indexes.split),
        groups=column(indexes.group),
        places=row_numbers(count),
    )


def read_parquet_edges(path: Path, fields: EdgeFields) -> EdgeTable:
    """Reads a Parquet edge file.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is damaged or empty, or a column is missing or of a wrong type.
    """
    file = open_parquet(path)
    source, target = edge_indexes(str(path), file.schema_arrow.names, fields)
    return EdgeTable(
        source=Source(str(path), "row"),
        sources=read_column(path, file, source),
        targets=read_column(path, file, target),
        places=row_numbers(file.metadata.num_rows),
    )


def row_numbers(count: int) -> NDArray[np.int64]:
    return np.arange(1, count + 1, dtype=np.int64)


def open_parquet(path: Path) -> pq.ParquetFile:
    with open_bytes(path) as stream:
        content = stream.read() if path.suffix.lower() == ".gz" else None
    if not (path.stat().st_size if content is None else len(content)):
        raise BadInputError(f"{path}: the file is empty")
    try:
        return pq.ParquetFile(str(path) if content is None else io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{path}: not a Parquet file, or a damaged one: {error}") from error


def read_column(
    path: Path, file: pq.ParquetFile, index: int, numbers: bool = True
) -> pa.LargeStringArray:
    """One column as strings.

    Args:
        numbers: whether whole numbers are allowed, and become strings.

    Raises:
        BadInputError: the column is of another type, or is not UTF-8.
    """
    field = file.schema_arrow.field(index)
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    textual = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    textual = textual or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    if not (textual or pa.types.is_null(kind) or (numbers and pa.types.is_integer(kind))):
        wanted = "strings or whole numbers" if numbers else "strings"
        raise BadInputError(f"{path}: column {field.name!r} must hold {wanted}, it holds {kind}")
    try:
        column = file.read(columns=[field.name])[field.name]
    except (pa.ArrowException, OSError) as error:
        raise BadInputError(f"{path}: column {field.name!r} is damaged: {error}") from error
    if not textual:
        return flat(column.cast(pa.large_string()))
    raw = column.cast(pa.large_binary())
    try:
        return flat(raw.cast(pa.large_string()))
    except pa.ArrowInvalid as error:
        row, byte = first_undecodable(raw)
        raise BadInputError(
            f"{path} row {row}: column {field.name!r} is not UTF-8 at byte {byte}; convert it"
        ) from error


def flat(column: pa.ChunkedArray) -> pa.LargeStringArray:
    return pa.concat_arrays(column.chunks) if column.num_chunks else string_array([])


def first_undecodable(column: pa.ChunkedArray) -> tuple[int, int]:
    """The row and the byte, both counted from 1."""
    for row, value in enumerate(column, 1):
        try:
            (value.as_py() or b"").decode("utf-8")
        except UnicodeDecodeError as error:
            return row, error.start + 1
    return 0, 0


def joined(texts: Sequence[pa.LargeStringArray]) -> pa.LargeStringArray:
    """Several columns as one text, a line each; blanks are left out."""
    newline = pa.scalar("\n", pa.large_string())
    return pc.binary_join_element_wise(*texts, newline, null_handling="skip")


def without_negative(labels: pa.LargeStringArray) -> pa.LargeStringArray:
    """A negative number as a label says that there is none."""
    negative = pc.fill_null(pc.match_substring_regex(labels, r"^-\d+$"), False)
    return pc.if_else(negative, pa.scalar(None, pa.large_string()), labels)
