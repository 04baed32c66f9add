"""Runs of an array that are read together, such as neighbour lists or the n-grams of texts."""

import numpy as np
from numpy.typing import NDArray

MANY = 2**20  # numbers from which a cumulative sum is faster than repeating the starts


def ends(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """The boundaries of consecutive runs of these lengths; int64 [B + 1]."""
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return indptr


def positions(starts: NDArray[np.int64], indptr: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices of an array for some of its runs, concatenated; int64 [indptr[-1]].

    Shapes:
        starts: int64 [B], where each run begins in the array
        indptr: int64 [B + 1], where it begins in the result
    """
    if indptr[-1] < MANY:
        taken = np.repeat(starts - indptr[:-1], np.diff(indptr))
        taken += np.arange(indptr[-1])
        return taken
    # Increments: 1 within a run, and the jump from one run's end to the next run's start.
    steps = np.ones(int(indptr[-1]), np.int64)
    some = np.flatnonzero(np.diff(indptr))
    first = starts[some]
    last = first + indptr[some + 1] - indptr[some] - 1
    steps[indptr[some]] = first
    steps[indptr[some[1:]]] -= last[:-1]
    return np.cumsum(steps, out=steps)
