"""Values of a file of arrays: tensors, NumPy arrays and lists, found by their keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.graph.errors import BadInputError
from understudy.graph.numerals import EXACT_FLOATS

# Types that NumPy lacks, and the precision of their numbers in bits.
SHORT = {"torch.bfloat16": 8, "torch.float8_e4m3fn": 4, "torch.float8_e5m2": 3}


def shape_of(array: NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"


def array_of(path: Path, key: str, value: Any) -> NDArray[Any]:
    """A tensor or list as an array in native byte order.

    Raises:
        BadInputError: it is neither, or has masked values.
    """
    if np.ma.is_masked(value):
        raise BadInputError(
            f"{path}: {key!r} is an array some of whose values are masked; leave them out, or fill "
            "them in"
        )
    try:
        if hasattr(value, "detach"):  # a tensor on any device
            value = value.detach().cpu()
        if hasattr(value, "is_sparse") and is_half(value):
            value = value.float()  # NumPy has no bfloat16
        array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise no_array(path, key, value) from error
    if array.dtype.kind == "O" and not array.ndim:  # an iterator, a set, a sparse matrix
        raise no_array(path, key, value)
    if array.dtype.kind == "T":  # NumPy's variable-length strings
        return array.astype(object)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def no_array(path: Path, key: str, value: Any) -> BadInputError:
    kind = type(value).__name__
    return BadInputError(f"{path}: {key!r} must be a dense tensor, an array or a list, not {kind}")


def is_half(value: Any) -> bool:
    return str(value.dtype) in SHORT


def exact_up_to(value: Any, array: NDArray[Any]) -> int:
    """The largest whole number that is exact in the type of a value's floats.

    Args:
        array: the value as an array.
    """
    if array.dtype.kind != "f":
        return EXACT_FLOATS
    bits = SHORT.get(str(getattr(value, "dtype", "")), int(np.finfo(array.dtype).nmant) + 1)
    return min((1 << bits) - 1, EXACT_FLOATS)


def find_key(values: Mapping[str, Any], given: str, usual: tuple[str, ...]) -> str | None:
    """The given key, or the first of the usual ones that has a value."""
    wanted = (given,) if given else usual
    return next((key for key in wanted if values.get(key) is not None), None)
