"""Reads Parquet node and edge files; places are rows, counted from 1."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from understudy.graph.building.records import EdgeTable, NodeTable
from understudy.graph.errors import BadInputError
from understudy.graph.readers.arrow_columns import ArrowColumns, edge_records, node_records
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.packed import is_packed, open_bytes
from understudy.graph.readers.pandas_index import counted_index
from understudy.progress import Progress, silent

DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError)  # the last: a name that is not UTF-8


def read_parquet_nodes(path: Path, fields: NodeFields, progress: Progress = silent) -> NodeTable:
    """Reads a Parquet node file.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is damaged or empty, or a column is missing or of a wrong type.
    """
    return node_records(ParquetColumns(path, progress), fields)


def read_parquet_edges(path: Path, fields: EdgeFields, progress: Progress = silent) -> EdgeTable:
    """Reads a Parquet edge file.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is damaged or empty, or a column is missing or of a wrong type.
    """
    return edge_records(ParquetColumns(path, progress), fields)


def open_parquet(path: Path) -> pq.ParquetFile:
    with open_bytes(path) as stream:
        content = stream.read() if is_packed(path) else None
    if not (path.stat().st_size if content is None else len(content)):
        raise BadInputError(f"{path}: the file is empty")
    try:
        return pq.ParquetFile(str(path) if content is None else io.BytesIO(content))
    except DAMAGED as error:
        raise BadInputError(f"{path}: not a Parquet file, or a damaged one: {error}") from error


class ParquetColumns(ArrowColumns):
    """The columns of a Parquet file, each read on request."""

    def __init__(self, path: Path, progress: Progress = silent) -> None:
        self.path, self.progress = path, progress
        self.file = open_parquet(path)
        schema, count = self.file.schema_arrow, self.file.metadata.num_rows
        self.index = counted_index(schema, count)
        if self.index is not None:
            schema = schema.append(pa.field(self.index[0], pa.int64()))
        super().__init__(str(path), schema, count)
        self.expected, self.done = 1, 0

    def expect(self, columns: int) -> None:
        """Sets how many columns will be read, for the progress."""
        self.expected = columns
        self.progress(f"read {self.path.name}", 0, columns * self.count)

    def stored(self, index: int) -> pa.ChunkedArray:
        """One column.

        Raises:
            BadInputError: it is damaged.
        """
        name = self.names[index]
        if self.index is not None and name == self.index[0]:
            return self.index[1]
        try:
            column = self.file.read(columns=[name])[name]
        except (*DAMAGED, KeyError) as error:
            raise BadInputError(f"{self.path}: column {name!r} is damaged: {error}") from error
        if len(column) != self.count:
            raise BadInputError(
                f"{self.path}: column {name!r} is damaged: {len(column):,} values, and not as many "
                f"as the file's {self.count:,} rows"
            )
        self.done += self.count
        self.progress(f"read {self.path.name}", self.done, self.expected * self.count)
        return column
