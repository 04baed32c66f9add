"""Distinct rows, computed by sorting or by a table, whichever is faster."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import sorted_distinct

FEW = 16  # a table pays if it has fewer than this many rows per given row


def counted(rows: NDArray[np.integer], total: int) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """Finds the distinct rows of some rows below `total`, ascending, and how often each occurs.

    Shapes:
        rows: integers [B]
        returns: integers and int64 [B']
    """
    if len(rows) * FEW > total:
        counts = np.bincount(rows, minlength=total)
        values = np.flatnonzero(counts)
        return values, counts[values]
    rows = np.sort(rows)
    new = np.ones(len(rows), np.bool_)
    np.not_equal(rows[1:], rows[:-1], out=new[1:])
    bounds = np.append(np.flatnonzero(new), len(rows))
    return rows[bounds[:-1]], bounds[1:] - bounds[:-1]


def union(pieces: Sequence[NDArray[np.integer]], total: int) -> NDArray[np.int64]:
    """Joins rows below `total`, each once, ascending."""
    if sum(map(len, pieces)) * FEW > total:
        there = np.zeros(total, np.bool_)
        for rows in pieces:
            there[rows] = True
        return np.flatnonzero(there)
    return sorted_distinct(np.concatenate(pieces).astype(np.int64))
