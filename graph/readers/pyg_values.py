"""The attributes of a PyG data object: texts, ids, labels and masks, under their usual names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph.errors import BadInputError
from graph.records import null_strings, optional_strings
from graph.text_graph import string_array

TEXT_KEYS = ("raw_texts", "raw_text", "texts", "text", "node_texts", "node_text")
TITLE_KEYS = ("title", "titles")
BODY_KEYS = ("abs", "abstract", "abstracts", "description", "content")
LABEL_NAME_KEYS = (
    "label_names",
    "category_names",
    "class_names",
    "label_texts",
    "label_text",
    "classes",
)
LABEL_KEYS = ("y", "label", "labels")
ID_KEYS = ("node_ids", "node_id", "ids", "id", "node_names")
MASKS = {"train": ("train_mask",), "val": ("val_mask", "valid_mask"), "test": ("test_mask",)}


def told(array: NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"


def array_of(path: Path, key: str, value: Any) -> NDArray[Any]:
    """A tensor or list as an array.

    Raises:
        BadInputError: it is neither.
    """
    try:
        return np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(value).__name__
        raise BadInputError(f"{path}: {key!r} must be a dense tensor, not {kind}") from error


def find_key(values: Mapping[str, Any], given: str, usual: tuple[str, ...]) -> str | None:
    wanted = (given,) if given else usual
    return next((key for key in wanted if values.get(key) is not None), None)


def strings_of(path: Path, key: str, values: Any, count: int) -> pa.LargeStringArray:
    """A list of optional strings.

    Raises:
        BadInputError: it is something else, or of another length.
    """
    if not isinstance(values, (list, tuple)) or len(values) != count:
        size = f"{len(values):,}" if hasattr(values, "__len__") else "no"
        raise BadInputError(f"{path}: {key!r} must be a list of {count:,} strings, it has {size}")
    bad = next((i for i, value in enumerate(values) if not isinstance(value, str | None)), None)
    if bad is not None:
        kind = type(values[bad]).__name__
        raise BadInputError(f"{path} node {bad}: {key!r} must be a string, not {kind}")
    return optional_strings(values)


def find_texts(path: Path, values: Mapping[str, Any], given: str) -> pa.LargeStringArray:
    """large_string [N]: the texts, or titles and abstracts joined."""
    key = find_key(values, given, TEXT_KEYS)
    if key is not None:
        return strings_of(path, key, values[key], sized(path, key, values[key]))
    title = find_key(values, "", TITLE_KEYS)
    if given or title is None:
        found = ", ".join(map(str, values))
        wanted = given or f"texts (looked for {', '.join(TEXT_KEYS)})"
        raise BadInputError(f"{path}: no {wanted}; found: {found}; name them with --text-key")
    count = sized(path, title, values[title])
    titles = strings_of(path, title, values[title], count).to_pylist()
    body = find_key(values, "", BODY_KEYS)
    bodies = strings_of(path, body, values[body], count).to_pylist() if body else [None] * count
    pairs = zip(titles, bodies, strict=True)
    return string_array("\n".join(part for part in pair if part) for pair in pairs)


def sized(path: Path, key: str, value: Any) -> int:
    if not isinstance(value, (list, tuple)):
        raise BadInputError(
            f"{path}: {key!r} must be a list of strings, not {type(value).__name__}"
        )
    return len(value)


def find_ids(path: Path, values: Mapping[str, Any], count: int) -> pa.LargeStringArray:
    """large_string [N]: the nodes' ids where the file has them, else their positions."""
    key = find_key(values, "", ID_KEYS)
    if key is None:
        return string_array(map(str, range(count)))
    ids = array_of(path, key, values[key])
    if ids.shape != (count,) or ids.dtype.kind not in "iuU":
        raise BadInputError(f"{path}: {key!r} must be {count:,} ids, not {told(ids)}")
    return string_array(map(str, ids.tolist()))


def find_labels(
    path: Path, values: Mapping[str, Any], given: str, count: int
) -> pa.LargeStringArray:
    """large_string [N]: label names, or numbers where the file names none."""
    key = find_key(values, "", LABEL_KEYS)
    if key is None:
        return null_strings(count)
    y = array_of(path, key, values[key])
    if y.size == count:
        y = y.reshape(count)
    if y.shape != (count,) or y.dtype.kind not in "iufU":
        raise BadInputError(f"{path}: {key!r} must be {count:,} class numbers, not {told(y)}")
    if y.dtype.kind == "U":
        return string_array(y.tolist())
    if y.dtype.kind == "f":
        y = np.where(np.isnan(y), -1, y)
        if (y != np.round(y)).any():
            raise BadInputError(f"{path}: {key!r} must be class numbers; found fractions")
    names_key = find_key(values, given, LABEL_NAME_KEYS)
    if given and names_key is None:
        raise BadInputError(f"{path}: no {given!r}; found: {', '.join(map(str, values))}")
    names = None if names_key is None else list(values[names_key])
    return named_labels(path, y.astype(np.int64), names)


def named_labels(path: Path, y: NDArray[np.int64], names: list[str] | None) -> pa.LargeStringArray:
    """Class numbers as names; a negative number is no label.

    Raises:
        BadInputError: a number has no name.
    """
    if names is None:
        names = [str(index) for index in range(int(y.max(initial=-1)) + 1)]
    beyond = np.flatnonzero(y >= len(names))
    if len(beyond):
        node = int(beyond[0])
        raise BadInputError(
            f"{path} node {node}: class {y[node]} has no name; only {len(names)} classes have one"
        )
    positions = pa.array(y, mask=y < 0)
    return string_array(map(str, names)).take(positions)


def find_masks(
    path: Path, values: Mapping[str, Any], column: int, count: int
) -> dict[str, NDArray[np.int64]] | None:
    """Split name → node positions; None where the file has no mask.

    Raises:
        BadInputError: a mask is not of N nodes, or lacks the column.
    """
    members = {}
    for name, names in MASKS.items():
        key = find_key(values, "", names)
        if key is None:
            continue
        mask = array_of(path, key, values[key])
        if mask.ndim == 2:
            if not 0 <= column < mask.shape[1]:
                raise BadInputError(
                    f"{path}: {key!r} has {mask.shape[1]} columns, there is no column {column}"
                )
            mask = mask[:, column]
        if mask.shape != (count,) or mask.dtype.kind not in "biu":
            raise BadInputError(f"{path}: {key!r} must be a mask of {count:,}, not {told(mask)}")
        members[name] = np.flatnonzero(mask)
    return members or None
