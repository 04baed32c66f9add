"""Arrays on disk, as NumPy itself would write them."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from understudy.graph.arrays import save_array, save_parts, write_array

ARRAYS: list[NDArray[Any]] = [
    np.arange(12, dtype=np.float32).reshape(4, 3),
    np.arange(20, dtype=np.int64)[::2],
    np.empty((0, 3), dtype=np.float32),
    np.empty(0, dtype=np.int32),
]


@pytest.mark.parametrize("values", ARRAYS)
def test_bytes_are_those_of_numpy(values: NDArray[Any], tmp_path: Path) -> None:
    path, expected, stream = tmp_path / "values.npy", BytesIO(), BytesIO()
    np.save(expected, values)
    save_array(path, values)
    write_array(stream, values)
    assert path.read_bytes() == stream.getvalue() == expected.getvalue()


def test_parts_are_one_array(tmp_path: Path) -> None:
    path, values = tmp_path / "values.npy", ARRAYS[0]
    save_parts(path, values.shape, values.dtype, (values[:1], values[1:1], values[1:]))
    assert np.array_equal(np.load(path), values)
