"""The records that a reader gives to the builder: columns, and the place of each record."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.graph.building.reading import Reading
from understudy.graph.text_graph import string_array

FLUSH_ROWS = 65_536  # rows held as Python objects before they become one Arrow array


NO_READING = Reading("", {})  # for records that come from no file


@dataclass(frozen=True)
class Source:
    """A file, and the unit of places in it."""

    file: str
    unit: str = "line"  # a text file counts lines; Parquet and arrays count rows

    def at(self, place: int) -> str:
        return f"{self.file}:{place}" if self.unit == "line" else f"{self.file} {self.unit} {place}"


@dataclass(frozen=True)
class NodeTable:
    """The node records of one file, not yet validated.

    Shapes:
        places: int64 [n], the line or row of each record
        ids, texts, labels, splits, groups: large_string [n], null if missing
        class_names: large_string [n], possible names for numeric labels; None if there are none
    """

    source: Source
    places: NDArray[np.int64]
    ids: pa.LargeStringArray
    texts: pa.LargeStringArray
    labels: pa.LargeStringArray
    splits: pa.LargeStringArray
    groups: pa.LargeStringArray
    class_names: pa.LargeStringArray | None = None
    neighbors: "EdgeTable | None" = None  # edges listed in the node records
    reading: Reading = NO_READING

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class EdgeTable:
    """The edge records of one file, not yet validated.

    Shapes:
        places: int64 [e]
        sources, targets: large_string [e] of node ids, or int64 [e] of node record positions

    Attributes:
        of_nodes: they were listed in node records, by their place; a target that is alone there may
            be a word for a missing value, and is none unless a node is called so.
    """

    source: Source
    places: NDArray[np.int64]
    sources: pa.LargeStringArray | NDArray[np.int64]
    targets: pa.LargeStringArray | NDArray[np.int64]
    reading: Reading = NO_READING
    of_nodes: bool = False

    def __len__(self) -> int:
        return len(self.places)


class ColumnCollector:
    """Collects rows of optional strings into Arrow columns, in chunks."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[Sequence[str | None]] = []
        self.places: list[int] = []
        self.chunks: list[list[pa.LargeStringArray]] = [[] for _ in range(width)]
        self.place_chunks: list[NDArray[np.int64]] = []

    def add(self, place: int, row: Sequence[str | None]) -> None:
        self.rows.append(row)
        self.places.append(place)
        if len(self.rows) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        for column, chunks in zip(zip(*self.rows, strict=True), self.chunks, strict=False):
            chunks.append(pa.array(column, pa.large_string()))
        self.place_chunks.append(np.array(self.places, dtype=np.int64))
        self.rows, self.places = [], []

    def finish(self) -> tuple[NDArray[np.int64], list[pa.LargeStringArray]]:
        """The places, and the columns in order."""
        self.flush()
        columns = [pa.concat_arrays(parts) if parts else string_array([]) for parts in self.chunks]
        return np.concatenate([*self.place_chunks, np.empty(0, np.int64)]), columns


def optional_strings(values: Sequence[str | None]) -> pa.LargeStringArray:
    """A string column in which None is null."""
    return pa.array(values, pa.large_string())


def null_strings(count: int) -> pa.LargeStringArray:
    """A string column of nulls."""
    return pa.nulls(count, pa.large_string())
