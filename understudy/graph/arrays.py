"""Writes arrays to .npy files, and reports a full disk clearly.

NumPy does not: `np.save` drops the system's reason, and writing to a mapped file kills the process
(SIGBUS) if its disk is full.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Writes an array of any shape.

    Raises:
        OSError: it cannot be written, with the system's own reason.
    """
    with path.open("wb") as stream:
        write_array(stream, values)


def write_array(stream: BinaryIO, values: NDArray[Any]) -> None:
    """Writes an array after the present content of a stream."""
    write_head(stream, values.shape, values.dtype)
    stream.write(np.ascontiguousarray(values).data)


def save_parts(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    """Writes an array whose rows come in parts, with one part in memory at a time.

    Args:
        shape: of the whole.
        parts: in order.

    Raises:
        OSError: see `save_array`.
    """
    with path.open("wb") as stream:
        write_head(stream, shape, dtype)
        for part in parts:
            stream.write(np.ascontiguousarray(part, dtype=dtype).data)


def write_head(stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
