"""Reads the columns of any Arrow table as records; places are rows, counted from 1."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.graph.building import cells
from understudy.graph.building.cells import CellError
from understudy.graph.building.reading import ReadingLog
from understudy.graph.building.records import (
    EdgeTable,
    NodeTable,
    Source,
    null_strings,
    optional_strings,
)
from understudy.graph.errors import BadInputError
from understudy.graph.missing import without_missing
from understudy.graph.readers.columns import Columns, PlacedColumns, node_table, split_of_masks
from understudy.graph.readers.fields import (
    EdgeFields,
    NodeFields,
    NodeIndexes,
    check_text,
    edge_indexes,
)
from understudy.graph.readers.fields import node_indexes as find_columns
from understudy.graph.text_graph import string_array

# The largest whole number that is exact in each type.
EXACT = {pa.float16(): 2**11 - 1, pa.float32(): 2**24 - 1}


def node_records(table: "ArrowColumns", fields: NodeFields) -> NodeTable:
    """The node records of a table.

    Raises:
        BadInputError: a column is missing or of a wrong type.
    """
    indexes = check_node_columns(table, fields)
    log = ReadingLog(table.name)
    log.add(table.names, indexes.roles())
    table.expect(len(indexes.used()))
    texts = [table.texts(index) for index in indexes.text]
    columns = Columns(
        ids=table.read(indexes.id),
        texts=joined(texts, table.count),
        labels=table.labels(indexes.label),
        class_names=table.labels(indexes.class_name),
        splits=split_column(table, indexes),
        groups=table.read(indexes.group),
    )
    placed = (row_numbers(table.count), list(columns))
    neighbors = neighbor_pairs(table, columns.ids, indexes.neighbors)
    return node_table(Source(table.name, "row"), placed, log.finish(), neighbors)


def check_node_columns(table: "ArrowColumns", fields: NodeFields) -> NodeIndexes:
    """Finds the columns of nodes, without reading them.

    Raises:
        BadInputError: one is missing, or has an unsuitable type.
    """
    indexes = find_columns(table.name, table.names, fields)
    texts = [table.names[index] for index in indexes.text]
    check_text(table.name, table.names, fields, texts)
    for index in indexes.text:
        table.check_type(index, cells.text_of)
    split = indexes.split if may_hold_split(table, indexes) else None
    named = (indexes.id, indexes.label, indexes.class_name, split, indexes.group)
    for index in (index for index in named if index is not None):
        table.check_type(index, cells.name_of)
    return indexes


def edge_records(table: "ArrowColumns", fields: EdgeFields) -> EdgeTable:
    """The edge records of a table.

    Raises:
        BadInputError: a column is missing or of a wrong type.
    """
    source, target = check_edge_columns(table, fields)
    log = ReadingLog(table.name)
    log.add(table.names, {"source": (source,), "target": (target,)})
    table.expect(2)
    return EdgeTable(
        source=Source(table.name, "row"),
        sources=table.read(source),
        targets=table.read(target),
        places=row_numbers(table.count),
        reading=log.finish(),
    )


def check_edge_columns(table: "ArrowColumns", fields: EdgeFields) -> tuple[int, int]:
    """Finds the two ends of edges, without reading them.

    Raises:
        BadInputError: one is missing, or has an unsuitable type.
    """
    ends = edge_indexes(table.name, table.names, fields)
    for index in ends:
        table.check_type(index, cells.name_of)
    return ends


def row_numbers(count: int) -> NDArray[np.int64]:
    return np.arange(1, count + 1, dtype=np.int64)


class ArrowColumns:
    """The columns of a table in memory, each decoded on request.

    Args:
        name: of the table in messages.
        count: number of rows.
    """

    def __init__(self, name: str, schema: pa.Schema, count: int) -> None:
        self.name, self.schema, self.count = name, schema, count
        self.names: list[str] = schema.names

    def expect(self, columns: int) -> None:
        """Announces how many columns will be read."""

    def stored(self, index: int) -> pa.ChunkedArray:
        """One column as it is stored."""
        raise NotImplementedError

    def raw(self, index: int) -> pa.ChunkedArray:
        """One column, with dictionaries decoded."""
        column = self.stored(index)
        kind = column.type
        return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column

    def read(self, index: int | None) -> pa.LargeStringArray:
        """A column of names: strings, UUIDs or whole numbers, possibly stored as floats."""
        return null_strings(self.count) if index is None else self.names_of(index, cells.name_of)

    def labels(self, index: int | None) -> pa.LargeStringArray:
        """A column of labels: names, or true and false."""
        return null_strings(self.count) if index is None else self.names_of(index, cells.label_of)

    def texts(self, index: int) -> pa.LargeStringArray:
        """A column of strings, or of lists of strings."""
        return without_missing(self.names_of(index, cells.text_of))

    def names_of(self, index: int, of: Callable[[object], str | None]) -> pa.LargeStringArray:
        self.check_type(index, of)
        column = self.raw(index)
        kind = column.type
        if is_textual(kind):
            return self.decoded(index, column)
        if pa.types.is_null(kind) or pa.types.is_integer(kind):
            return flat(column.cast(pa.large_string()))
        return optional_strings(self.values(index, of))

    def check_type(self, index: int, of: Callable[[object], str | None]) -> None:
        """Refuses a column whose type rules out suitable values.

        Args:
            of: the function that reads a value.

        Raises:
            BadInputError: it is such a column; the message names its type.
        """
        kind = self.schema.types[index]
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        whole = pa.types.is_integer(kind) or is_fractional(kind)
        if of is cells.text_of and whole:
            raise self.wrong(index, CellError("strings"))
        other = is_list(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
        other |= of is not cells.text_of and isinstance(kind, pa.UuidType)
        if not (is_textual(kind) or whole or other):
            wanted = "strings" if of is cells.text_of else "strings or whole numbers"
            dated = pa.types.is_temporal(kind)
            advice = f"{wanted} (save its dates and times as strings)" if dated else wanted
            raise self.wrong(index, CellError(advice))

    def items(self, index: int) -> list[Any]:
        """The values of one column."""
        return python_values(self.raw(index))

    def values(self, index: int, of: Callable[[object], Any]) -> list[Any]:
        """Applies `of` to every value."""
        results = []
        for row, value in enumerate(self.items(index), 1):
            try:
                results.append(of(value))
            except CellError as error:
                raise self.wrong(index, error, row, value) from error
        return results

    def wrong(
        self, index: int, wanted: CellError, row: int = 0, value: object = None
    ) -> BadInputError:
        where = f"{self.name} row {row}" if row else self.name
        present = f"found {value!r:.60}" if row else f"it holds {self.schema.types[index]}"
        verb = "be" if row else "hold"
        return BadInputError(
            f"{where}: column {self.names[index]!r} must {verb} {wanted}, {present}"
        )

    def decoded(self, index: int, column: pa.ChunkedArray) -> pa.LargeStringArray:
        """Decodes a column of bytes as text.

        Raises:
            BadInputError: it is not UTF-8.
        """
        raw = column.cast(pa.large_binary())
        try:
            return flat(raw.cast(pa.large_string()))
        except pa.ArrowInvalid as error:
            row, byte = first_undecodable(raw)
            raise BadInputError(
                f"{self.name} row {row}: column {self.names[index]!r} is not UTF-8 at byte "
                f"{byte}; convert it"
            ) from error


def is_textual(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def python_values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of a column, possibly of lists. Values of short float types that are too large to
    be exact are marked, see `cells.Rounded`.
    """
    kind = column.type
    exact = EXACT.get(kind.value_type if is_list(kind) else kind)
    values: list[Any] = column.to_pylist()
    if exact is None:
        return values

    def marked(value: Any) -> Any:
        if isinstance(value, list):
            return [marked(item) for item in value]
        return cells.Rounded(value, exact) if value is not None and abs(value) > exact else value

    return [marked(value) for value in values]


def is_fractional(kind: pa.DataType) -> bool:
    """Whether a type can hold fractions, even if all values are whole."""
    return bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def split_column(table: ArrowColumns, indexes: NodeIndexes) -> pa.LargeStringArray:
    """The split of every node, from its own column or from masks."""
    if indexes.masks[0] is None:
        return table.read(indexes.split) if may_hold_split(table, indexes) else table.read(None)
    absent = [False] * table.count
    masks = [
        absent if index is None else table.values(index, cells.mask_of) for index in indexes.masks
    ]
    names = [
        split_of_masks(row, f"{table.name} row {number}")
        for number, row in enumerate(zip(*masks, strict=True), 1)
    ]
    return optional_strings(names)


def may_hold_split(table: ArrowColumns, indexes: NodeIndexes) -> bool:
    """Whether the split's column may hold words; one that only may be a split is left otherwise."""
    if indexes.split is None or not indexes.loose_split:
        return True
    kind = table.schema.types[indexes.split]
    return is_textual(kind.value_type if pa.types.is_dictionary(kind) else kind)


def neighbor_pairs(table: ArrowColumns, ids: object, index: int | None) -> PlacedColumns | None:
    """The edges from a column of neighbours; their place is the row of the node."""
    if index is None or not isinstance(ids, pa.LargeStringArray):
        return None
    lists = table.values(index, cells.neighbors_of)
    rows = np.repeat(np.arange(table.count), [len(names) for names in lists])
    targets = string_array(name for names in lists for name in names)
    return rows + 1, [ids.take(pa.array(rows)), targets]


def flat(column: pa.ChunkedArray) -> pa.LargeStringArray:
    return pa.concat_arrays(column.chunks) if column.num_chunks else string_array([])


def first_undecodable(column: pa.ChunkedArray) -> tuple[int, int]:
    """The row and the byte of the first fault, both counted from 1."""
    for row, value in enumerate(column, 1):
        try:
            (value.as_py() or b"").decode("utf-8")
        except UnicodeDecodeError as error:
            return row, error.start + 1
    return 0, 0


def joined(texts: list[pa.LargeStringArray], count: int) -> pa.LargeStringArray:
    """Joins several columns to one text, one line each; blanks are left out."""
    if len(texts) < 2:
        return texts[0] if texts else null_strings(count)
    rows = zip(*(column.to_pylist() for column in texts), strict=True)
    return optional_strings([cells.joined(row) for row in rows])
