"""Arrays in .npy files; a full disk becomes an error that says so.

NumPy's own ways tell nothing of it: `np.save` forgets the system's reason, and a file that is
mapped ends the process (SIGBUS) where its disk is full.
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
    """The same, behind what a stream holds already."""
    write_head(stream, values.shape, values.dtype)
    stream.write(np.ascontiguousarray(values).data)


def save_parts(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterable[NDArray[Any]]
) -> None:
    """Writes an array whose rows come in parts, of which one at a time is in memory.

    Args:
        shape: of the whole.
        parts: one behind the other.

    Raises:
        OSError: as of `save_array`.
    """
    with path.open("wb") as stream:
        write_head(stream, shape, dtype)
        for part in parts:
            stream.write(np.ascontiguousarray(part, dtype=dtype).data)


def write_head(stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
