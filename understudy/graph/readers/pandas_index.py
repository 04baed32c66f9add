"""Restores a pandas index that only counts, which Arrow tables and Parquet files store as metadata
instead of a column, for example after `frame.set_index("id")` with ids from 1; and refuses columns
whose indexes disagree.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.graph.errors import BadInputError

NOTE = b"pandas"  # the key of pandas' metadata in a table
LARGEST = 2**62  # bound of such an index, so that lengths can be computed


def counted_index(schema: pa.Schema, rows: int) -> tuple[str, pa.ChunkedArray] | None:
    """The name of such an index and its values, int64 [rows].

    None if there is no such index, its name is missing or taken by a column, or its length differs
    from the number of rows, as in a part of a larger table.
    """
    note = noted(schema)
    indexes = note.get("index_columns") if isinstance(note, dict) else None
    for index in indexes if isinstance(indexes, list) else ():
        if not isinstance(index, dict) or index.get("kind") != "range":
            continue
        name, start, stop, step = (index.get(key) for key in ("name", "start", "stop", "step"))
        if not isinstance(name, str) or name in schema.names:
            continue
        if not (isinstance(start, int) and isinstance(stop, int) and isinstance(step, int)):
            continue
        if not step or max(abs(start), abs(stop), abs(step)) > LARGEST:
            continue
        if len(range(start, stop, step)) == rows:
            return name, pa.chunked_array([np.arange(start, stop, step, dtype=np.int64)])
    return None


def noted(schema: pa.Schema) -> Any:
    """The metadata of pandas; None if it is unreadable."""
    try:
        return json.loads((schema.metadata or {}).get(NOTE, b"null"))
    except ValueError:  # metadata of another program: only the columns count
        return None


def check_same_index(columns: Mapping[str, Any]) -> None:
    """Refuses pandas columns that are in different orders by their indexes: values are put together
    by position, as in NumPy.

    Args:
        columns: argument name → its value, of any type.

    Raises:
        BadInputError: two columns of one length have different indexes.
    """
    indexed = [(name, value) for name, value in columns.items() if hasattr(value, "iloc")]
    for name, value in indexed[1:]:
        first, other = indexed[0]
        if len(value) == len(other) and not value.index.equals(other.index):
            raise BadInputError(
                f"arrays: {first!r} and {name!r} are pandas columns of different indexes, and are "
                f"read by position: align {name!r} by .reindex({first}.index), or give .to_numpy() "
                "of both if positions are meant"
            )
