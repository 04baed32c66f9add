"""Splits in arrays, as published files vary: masks, indices, lists of either, and dicts of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.graph.building.split_names import NO_SPLIT, SPLIT_SYNONYMS, named_parts
from understudy.graph.errors import BadInputError
from understudy.graph.readers.arrays import array_of, find_key, shape_of
from understudy.graph.splits import SPLIT_NAMES

WORDS = {
    "train": ("train", "training", "tr", "trn"),
    "val": ("val", "valid", "validation", "dev", "va"),
    "test": ("test", "testing", "te", "tst"),
}
MASK_ENDS = ("mask", "masks")
INDEX_ENDS = ("idx", "index", "indices", "id", "ids", "nodes")
CHOSEN = "--mask-column"
DICT_KEYS = ("split_idx", "splits", "split", "split_dict", "split_masks", "masks")


@dataclass(frozen=True)
class FoundSplit:
    """A split in a file of arrays.

    Shapes:
        members: split name → int64 node positions
    """

    members: dict[str, NDArray[np.int64]]
    keys: tuple[str, ...]
    origin: str  # the keys, and which of several splits, in words


def find_split(path: Path, values: Mapping[str, Any], column: int, count: int) -> FoundSplit | None:
    """The split of a file; None if it has none.

    Masks take precedence over indices, then come keys that are words alone, then a dict of either,
    a list of such dicts, or the word of each node.

    Raises:
        BadInputError: the value does not fit N nodes, or lacks the column.
    """
    for ends in (MASK_ENDS, INDEX_ENDS):
        keys = {name: find_key(values, "", spellings(words, ends)) for name, words in WORDS.items()}
        parts_of_split = {name: (key, values[key]) for name, key in keys.items() if key is not None}
        if parts_of_split:
            return split_of(path, parts_of_split, column, count, ends is MASK_ENDS)
    parts = {name: part for name, part in values.items() if name in SPLIT_SYNONYMS and listed(part)}
    named = named_parts(str(path), parts)
    if "train" in named and len(named) > 1:
        words = {SPLIT_SYNONYMS[word]: word for word in parts}
        parts_of_split = {name: (words[name], named[name]) for name in SPLIT_NAMES if name in named}
        return split_of(path, parts_of_split, column, count, False)
    key = find_key(values, "", DICT_KEYS)
    return None if key is None else split_at(path, key, values[key], column, count)


def listed(value: Any) -> bool:
    """Whether a value has several items: an array, a tensor or a list."""
    return getattr(value, "ndim", int(isinstance(value, (list, tuple)))) > 0


def split_at(path: Path, key: str, value: Any, column: int, count: int) -> FoundSplit | None:
    """The split in one value: a dict, a list of dicts, or a word for each node.

    Raises:
        BadInputError: see `find_split`.
    """
    remark = ""
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
        value, remark = one_of_several(path, key, value, column, count)
        column = 0
    if not isinstance(value, Mapping):
        return split_of_words(path, key, value, column, count)
    parts = named_parts(f"{path}: {key!r}", value)
    parts_of_split = {name: (key, parts[name]) for name in SPLIT_NAMES if name in parts}
    if not parts_of_split:
        return None
    split = split_of(path, parts_of_split, column, count, False)
    others = [str(word) for word in value if str(word).lower() not in SPLIT_SYNONYMS]
    unread = f", of which {', '.join(others)} is not read" if others else ""
    return replace(split, origin=", ".join(filter(None, (split.origin, remark))) + unread)


def split_of_words(path: Path, key: str, value: Any, column: int, count: int) -> FoundSplit | None:
    """The split that names each node's part; None if the value is something else.

    Raises:
        BadInputError: a word is no split.
    """
    if not listed(value) or len(value) != count:
        return None
    words = ["" if word is None else str(word).strip().lower() for word in list(value)]
    if not any(SPLIT_SYNONYMS.get(word) == "train" for word in words):
        return None
    known = {*SPLIT_SYNONYMS, *NO_SPLIT, ""}
    if odd := next((node for node, word in enumerate(words) if word not in known), None):
        raise BadInputError(
            f"{path} node {odd}: {words[odd]!r:.100} in {key!r} is no split; use train, val, test, "
            "or none"
        )
    if column:
        raise BadInputError(
            f"{path}: {key!r}: this is one split, so there is no column {column}; leave {CHOSEN} "
            "out"
        )
    part = np.array([SPLIT_SYNONYMS.get(word, "") for word in words])
    members = {name: np.flatnonzero(part == name) for name in SPLIT_NAMES}
    nonempty = {name: nodes for name, nodes in members.items() if len(nodes)}
    return FoundSplit(nonempty, (key,), f"{key}, a word for each node")


def spellings(words: tuple[str, ...], ends: tuple[str, ...]) -> tuple[str, ...]:
    """Keys such as `train_mask` and `idx_train`."""
    pairs = [(word, end) for word in words for end in ends]
    return tuple(f"{word}_{end}" for word, end in pairs) + tuple(f"{e}_{w}" for w, e in pairs)


def split_of(
    path: Path, parts: Mapping[str, tuple[str, Any]], column: int, count: int, masks: bool
) -> FoundSplit:
    members, remarks = {}, dict[str, None]()
    for name, (key, value) in parts.items():
        members[name], remark = members_of(path, key, value, column, count, masks)
        if remark:
            remarks[remark] = None
    keys = tuple(dict.fromkeys(key for key, _ in parts.values()))
    if column and not any(CHOSEN in remark for remark in remarks):
        raise BadInputError(
            f"{path}: {', '.join(map(repr, keys))}: this is one split, so there is no column "
            f"{column}; leave {CHOSEN} out"
        )
    return FoundSplit(members, keys, ", ".join((*keys, *remarks)))


def members_of(
    path: Path, key: str, value: Any, column: int, count: int, mask: bool
) -> tuple[NDArray[np.int64], str]:
    """The node positions that a value means, and a remark on how it was read.

    Args:
        mask: whether the key suggests a mask rather than indices

    Raises:
        BadInputError: it is neither.
    """
    value, remark = one_of_several(path, key, value, column, count)
    array = array_of(path, key, value)
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim != 1 or array.dtype.kind not in "biuf":
        raise BadInputError(f"{path}: {key!r} must be a mask of {count:,}, not {shape_of(array)}")
    binary = array.dtype.kind == "b" or bool(np.isin(array, (0, 1)).all())
    if array.shape == (count,) and binary and (mask or array.dtype.kind == "b"):
        return np.flatnonzero(array), remark
    if array.dtype.kind not in "iu" or (mask and binary and len(array) > 2):
        raise BadInputError(f"{path}: {key!r} must be a mask of {count:,}, not {shape_of(array)}")
    check_indices(path, key, array, count)
    read = "read as node positions" if mask else ""
    return array.astype(np.int64), ", ".join(part for part in (remark, read) if part)


def check_indices(path: Path, key: str, array: NDArray[Any], count: int) -> None:
    """Refuses values that are not positions of nodes.

    Raises:
        BadInputError: a number is no node, or occurs twice.
    """
    advice = ""
    if len(array) == count:
        advice = "; if it is a mask, with a value for each node, write it as true and false"
    outside = (array < 0) | (array >= count)
    if outside.any():
        raise BadInputError(
            f"{path}: {key!r} holds {array[np.argmax(outside)]}, which is no node; there are "
            f"{count:,}, from 0{advice}"
        )
    numbers, times = np.unique(array, return_counts=True)
    if (times > 1).any():
        twice = numbers[np.argmax(times > 1)]
        raise BadInputError(f"{path}: {key!r} holds node {twice} more than once{advice}")


def one_of_several(path: Path, key: str, value: Any, column: int, count: int) -> tuple[Any, str]:
    """Selects one of several splits: from a list, from columns [N, S] or from rows [S, N].

    Raises:
        BadInputError: there are not so many, or the orientation of the masks is ambiguous.
    """
    if isinstance(value, (list, tuple)) and value and not np.isscalar(value[0]):
        several = list(value)
        if getattr(value[0], "ndim", 1) == 0:  # a list of single values is one split
            return value, ""
    else:
        array = array_of(path, key, value)
        if array.ndim != 2 or 1 in array.shape:
            return value, ""
        if array.shape == (count, count):
            raise BadInputError(
                f"{path}: {key!r} is {shape_of(array)}: which way do the masks lie? save a list of "
                "them"
            )
        if count not in array.shape:
            raise BadInputError(
                f"{path}: {key!r} must be a mask of {count:,}, not {shape_of(array)}"
            )
        several = list(array.T if array.shape[0] == count else array)
    if not 0 <= column < len(several):
        raise BadInputError(
            f"{path}: {key!r} has {len(several)} columns, there is no column {column}; "
            "choose another --mask-column"
        )
    return several[column], f"split {column} of {len(several)} ({CHOSEN})"
