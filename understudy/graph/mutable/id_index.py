"""Maps ids to rows: with a dictionary if they are few, otherwise with hashes and mapped ids.

A dictionary of ten million ids takes 1.6 GB of memory. The index takes 8 bytes per id, compares
the ids in the mapped file, and costs a microsecond more per look-up.
"""

from collections.abc import Iterator

import mmh3
import numpy as np
import pyarrow as pa

from understudy.graph.mutable.versions import Entries
from understudy.graph.text_graph import string_offsets

FEW = 500_000  # number of ids for which a dictionary is small
IDS_A_STEP = 65_536  # number of ids that are Python strings at once
GONE = -1


class IdIndex:
    """The rows of ids [N], which never change, and later changes on top of them.

    Shapes:
        starts: int32 [2 ** bits + 1], where the ids with the same leading hash bits begin in `rows`
        rows: int32 [N], in the order of their ids' hashes
    """

    def __init__(self, ids: pa.LargeStringArray) -> None:
        hashes = np.fromiter(all_hashes(ids), np.uint32, len(ids))
        bits = max(len(ids) - 1, 1).bit_length()
        self.shift = 32 - bits
        self.rows = np.argsort(hashes, kind="stable").astype(np.int32)
        counts = np.bincount(hashes >> np.uint32(self.shift), minlength=2**bits)
        self.starts = np.zeros(2**bits + 1, np.int32)
        np.cumsum(counts, out=self.starts[1:])
        self.ids = ids
        # Memoryviews: indexing one element of an array takes several times longer.
        self.places, self.listed = self.starts.data, self.rows.data
        self.offsets = string_offsets(ids).data
        self.data = memoryview(ids.buffers()[2] or b"").cast("B")
        self.changed: dict[str, int] = {}

    def get(self, key: str, /) -> int | None:
        """The row of an id, or None."""
        found = self.changed.get(key)
        if found is None:
            return self.stored(key)
        return None if found == GONE else found

    def stored(self, key: str) -> int | None:
        """The original row of an id, or None."""
        name = key.encode("utf-8", "surrogatepass")  # no id contains a surrogate
        place = mmh3.hash(name, 0, False) >> self.shift
        for row in self.listed[self.places[place] : self.places[place + 1]]:
            if self.data[self.offsets[row] : self.offsets[row + 1]] == name:
                return row
        return None

    def __setitem__(self, key: str, row: int, /) -> None:
        self.changed[key] = row

    def pop(self, key: str, default: None = None, /) -> int | None:
        """Removes an id; returns its row."""
        row = self.get(key)
        self.changed[key] = GONE
        return row

    def copy(self) -> dict[str, int]:
        """All entries as a dictionary."""
        entries = dict(zip(self.ids.to_pylist(), range(len(self.ids)), strict=True)) | self.changed
        return {key: row for key, row in entries.items() if row != GONE}


def all_hashes(ids: pa.LargeStringArray) -> Iterator[int]:
    """The unsigned 32-bit hash of each id."""
    for start in range(0, len(ids), IDS_A_STEP):
        for node_id in ids[start : start + IDS_A_STEP].to_pylist():
            yield mmh3.hash(node_id, 0, False)


def rows_of_ids(ids: pa.LargeStringArray) -> Entries[str, int]:
    """Maps each id to its row; ids are distinct."""
    if len(ids) <= FEW:
        return dict(zip(ids.to_pylist(), range(len(ids)), strict=True))
    return IdIndex(ids)
