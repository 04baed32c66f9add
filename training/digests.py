"""Digests of arrays on disk, read without the libraries that training needs."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

CHANGED = "it was changed since it was written"


def digest_of(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """SHA-256 of contiguous arrays in order, with their names."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()
