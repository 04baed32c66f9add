"""Large arrays of which only a few rows are ever written."""

import math
import mmap

import numpy as np
from numpy.typing import NDArray

FEW_BYTES = 2**22  # up to this size numpy, too, asks for small pages


def untouched(rows: int, width: int) -> NDArray[np.float32]:
    """Makes zeros, float32 [rows, width], that take memory and time only where they are written.

    Numpy asks for huge pages, with which one written row costs two megabytes to allocate and clear.
    """
    size = math.prod((rows, width, np.dtype(np.float32).itemsize))
    if size <= FEW_BYTES or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.zeros((rows, width), np.float32)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(pages, np.float32).reshape(rows, width)
