"""The index that pandas leaves out of a table of Arrow, and of a Parquet file, where it only
counts: of `frame.set_index("id")` with ids from 1 there is no column, but a note beside them."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

NOTE = b"pandas"  # the key of what pandas notes of a table
LARGEST = 2**62  # end of such an index: what lies between two of them can be counted


def counted_index(schema: pa.Schema, rows: int) -> tuple[str, pa.ChunkedArray] | None:
    """The name of such an index and its values, int64 [rows].

    None where there is none, where it has no name or that of a column, or where it is that of
    another number of rows, as in a part of what was written as one table.
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
    """What pandas noted of a table; None where that is nothing that can be read."""
    try:
        return json.loads((schema.metadata or {}).get(NOTE, b"null"))
    except ValueError:  # a note of somebody else: the columns are what counts
        return None
