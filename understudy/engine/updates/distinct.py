"""Distinct rows, in the way that is faster for how many of them there are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import sorted_distinct

FEW = 16  # a table of so many rows for each one that is given is not worth a pass over it


def counted(rows: NDArray[np.integer], total: int) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """The distinct ones of some rows below `total`, in rising order, and how often each is there.

    Shapes:
        rows: integers [B]
        returns: integers and int64 [B']
    """
    if len(rows) * FEW > total:
        counts = np.bincount(rows, minlength=total)
        found = np.flatnonzero(counts)
        return found, counts[found]
    rows = np.sort(rows)
    new = np.ones(len(rows), np.bool_)
    np.not_equal(rows[1:], rows[:-1], out=new[1:])
    bounds = np.append(np.flatnonzero(new), len(rows))
    return rows[bounds[:-1]], bounds[1:] - bounds[:-1]


def union(pieces: Sequence[NDArray[np.integer]], total: int) -> NDArray[np.int64]:
    """The rows below `total` that stand in any of the pieces, each once, in rising order."""
    if sum(map(len, pieces)) * FEW > total:
        there = np.zeros(total, np.bool_)
        for rows in pieces:
            there[rows] = True
        return np.flatnonzero(there)
    return sorted_distinct(np.concatenate(pieces).astype(np.int64))
