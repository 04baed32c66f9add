"""Large arrays of which few rows are ever written to."""

import math
import mmap

import numpy as np
from numpy.typing import NDArray

FEW_BYTES = 2**22  # up to which numpy asks for small pages, too


def untouched(rows: int, width: int) -> NDArray[np.float32]:
    """Zeros, float32 [rows, width], of which only what is written to takes memory and time.

    Numpy asks for huge pages, of which one written row takes two megabytes, all to be cleared.
    """
    size = math.prod((rows, width, np.dtype(np.float32).itemsize))
    if size <= FEW_BYTES or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.zeros((rows, width), np.float32)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, np.float32).reshape(rows, width)
