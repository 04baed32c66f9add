"""Tables in memory: DataFrames of any library, Arrow tables, dicts of columns."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.graph.building.records import optional_strings
from understudy.graph.errors import BadInputError
from understudy.graph.readers.arrow_columns import ArrowColumns
from understudy.graph.readers.networkx_files import own_type
from understudy.graph.readers.pandas_index import counted_index

PANDAS_GAP = "NAType"  # pandas' type of a missing value


class TableColumns(ArrowColumns):
    """The columns of a table in memory.

    Args:
        name: of the table in messages.
        mixed: values of columns without an Arrow type, which are empty in `table`. They are read
            value by value when such a column is requested, like those of JSON lines.
    """

    def __init__(self, name: str, table: pa.Table, mixed: Mapping[str, list[Any]]) -> None:
        if (index := counted_index(table.schema, table.num_rows)) is not None:
            table = table.append_column(*index)
        super().__init__(name, table.schema, table.num_rows)
        self.table, self.mixed = table, mixed

    def stored(self, index: int) -> pa.ChunkedArray:
        return self.table.column(index)

    def items(self, index: int) -> list[Any]:
        name = self.names[index]
        return self.mixed[name] if name in self.mixed else super().items(index)

    def names_of(self, index: int, of: Callable[[object], str | None]) -> pa.LargeStringArray:
        if self.names[index] in self.mixed:
            return optional_strings(self.values(index, of))
        return super().names_of(index, of)


def arrow_columns(table: Any, name: str) -> TableColumns:
    """Converts anything that Arrow reads as a table: a DataFrame, or a mapping of columns.

    Raises:
        BadInputError: it is none.
    """
    try:
        return TableColumns(name, *arrow_table(with_named_index(table)))
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = "; ".join(str(part) for part in error.args)
        if has_columns(table):
            raise BadInputError(f"{name}: not a table that Arrow reads: {reason}") from error
        advice = "; Graph.from_arrays reads pairs of ids" if name == "edges" else ""
        raise BadInputError(
            f"{name}: expected a table, such as a DataFrame or a dict of columns, not "
            f"{type(table).__name__}{advice}"
        ) from error


def with_named_index(table: Any) -> Any:
    """A pandas DataFrame with its named index levels as columns, because Arrow drops them."""
    levels = getattr(getattr(table, "index", None), "names", ())
    named = [level for level in levels if level is not None and level not in table.columns]
    return table.reset_index(level=named) if named else table


def arrow_table(table: Any) -> tuple[pa.Table, dict[str, list[Any]]]:
    """The table, and the values of columns without an Arrow type, which are empty in it.

    Raises:
        ArrowException, TypeError, ValueError: it is no table.
    """
    if isinstance(table, pa.Table):
        return table, {}
    try:
        return pa.table(table), {}
    except (
        pa.ArrowException,
        UnicodeError,
    ):  # an unpaired surrogate, whose row is reported on reading
        if not has_columns(table):
            raise
    rest = dict(table) if isinstance(table, Mapping) else table.copy(deep=False)
    mixed = {}
    for name in list(table.keys()):
        if not has_type(table[name]):
            mixed[str(name)] = [own_type(value) for value in plain(table[name])]
            rest[name] = [None] * len(table[name])
    return pa.table(rest), mixed


def has_columns(table: Any) -> bool:
    """Whether it is a dict of columns, or a pandas DataFrame."""
    return isinstance(table, Mapping) or (hasattr(table, "columns") and hasattr(table, "keys"))


def has_type(column: Any) -> bool:
    """Whether Arrow has a type for all values of a column."""
    try:
        pa.array(column)
    except (pa.ArrowException, UnicodeError):
        return False
    return True


def plain(value: Any) -> Any:
    """A column of pandas, Polars or Arrow, or an array with masked values, as a list with None for
    missing values. Anything else is unchanged.
    """
    if np.ma.is_masked(value):
        return value.tolist()
    if hasattr(value, "to_pylist"):
        return value.to_pylist()
    if hasattr(value, "to_list") and hasattr(value, "to_numpy"):
        return [None if type(item).__name__ == PANDAS_GAP else item for item in value.to_list()]
    return value
