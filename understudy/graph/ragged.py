"""Runs of an array that are read together: neighbour lists, the n-grams of texts."""

import numpy as np
from numpy.typing import NDArray

MANY = 2**20  # numbers, from which on one running sum is faster than to repeat every start


def ends(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where runs of these lengths begin and end, one behind the other; int64 [B + 1]."""
    indptr = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return indptr


def positions(starts: NDArray[np.int64], indptr: NDArray[np.int64]) -> NDArray[np.int64]:
    """What to take of an array for some of its runs, one behind the other; int64 [indptr[-1]].

    Shapes:
        starts: int64 [B], where each run begins in the array
        indptr: int64 [B + 1], where it begins in the result
    """
    if indptr[-1] < MANY:
        taken = np.repeat(starts - indptr[:-1], np.diff(indptr))
        taken += np.arange(indptr[-1])
        return taken
    # Steps of 1, and from the last number of a run to the first of the next.
    steps = np.ones(int(indptr[-1]), np.int64)
    some = np.flatnonzero(np.diff(indptr))
    first = starts[some]
    last = first + indptr[some + 1] - indptr[some] - 1
    steps[indptr[some]] = first
    steps[indptr[some[1:]]] -= last[:-1]
    return np.cumsum(steps, out=steps)
