"""Splits in separate files, which name the members of each part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.split_names import NO_SPLIT, SPLIT_SYNONYMS, named_parts
from understudy.graph.errors import BadInputError
from understudy.graph.formulas import column_without_formulas
from understudy.graph.numerals import EXACT_FLOATS, all_whole, as_integers
from understudy.graph.readers.fields import listed
from understudy.graph.readers.jsonl import read_value
from understudy.graph.text_graph import string_array


@dataclass(frozen=True)
class NamedSplit:
    """A split from a separate file.

    Shapes:
        members: split name → int64 node record positions
    """

    members: dict[str, NDArray[np.int64]]
    origin: str  # where it came from and how its members were read, in words


def read_members(path: Path, name: str | None) -> dict[str, list[int | str]]:
    """Reads one split of a JSON file `{name: {train: [...], val: [...], test: [...]}}`, as written.

    Args:
        name: may be None if the file has one split, or is itself `{train: [...], ...}`.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is not such a file, or has no such split.
    """
    parts = choose(path, read_value(path, "expected an object of named splits"), name)
    return {key: members_of(path, key, v) for key, v in named_parts(str(path), parts).items()}


def members_of(path: Path, key: str, values: Any) -> list[int | str]:
    """The members of a part; whole numbers that became floats are restored.

    Raises:
        BadInputError: they are not a list of ids or positions.
    """
    if not isinstance(values, list):
        raise BadInputError(f"{path}: {key!r} must be a list of node ids or positions")
    members: list[int | str] = []
    for place, item in enumerate(values):
        if type(item) is float and item.is_integer() and abs(item) <= EXACT_FLOATS:
            item = int(item)
        if type(item) not in (int, str):
            raise BadInputError(
                f"{path}: {key!r} must be a list of node ids or positions; {key}[{place}] is "
                f"{item!r:.60}"
            )
        members.append(item)
    return members


def found_members(
    path: Path,
    name: str | None,
    members: Mapping[str, list[int | str]],
    ids: pa.LargeStringArray,
    by: str,
) -> NamedSplit:
    """The node records that a split names.

    Args:
        ids: large_string [n], of all node records.
        by: the meaning of members: id · position, in the node files from 0 · auto: ids if all are,
            or positions if they are integers of which none is an id

    Raises:
        BadInputError: it names an unknown node or one twice, or only some of its integers are ids.
    """
    rows, meaning = locate(path, members, ids, by)
    which = f" {name!r}" if name else ""
    return NamedSplit(rows, f"--splits {path}{which}, members are {meaning}")


def choose(path: Path, value: Any, name: str | None) -> dict[str, Any]:
    """Selects the requested split."""
    if not isinstance(value, dict) or not value:
        raise BadInputError(f"{path}: expected an object of named splits")
    if name is None and is_split(value):
        return checked(path, value)
    if not any(isinstance(part, dict) for part in value.values()):
        raise BadInputError(
            f"{path}: no split in it (its keys: {listed(list(value))}); a split must be an object "
            'of lists: {"train": [ids], "val": [ids], "test": [ids]}'
        )
    if name is None and len(value) > 1:
        raise BadInputError(f"{path}: choose one with --split-name: {', '.join(value)}")
    chosen = value.get(name) if name is not None else next(iter(value.values()))
    if chosen is None:
        raise BadInputError(f"{path}: no split {name!r}; it has {', '.join(value)}")
    if not isinstance(chosen, dict):
        raise BadInputError(f"{path}: a split must be an object of train, val and test lists")
    return checked(path, chosen)


def is_split(value: Mapping[str, Any]) -> bool:
    """Whether an object is a split itself, rather than several by name."""
    words = [key for key in value if key.lower() in SPLIT_SYNONYMS]
    return len(words) == len(value) or any(isinstance(value[key], list) for key in words)


def checked(path: Path, parts: dict[str, Any]) -> dict[str, Any]:
    """Checks the parts of a split, which may include one for nodes of no split.

    Raises:
        BadInputError: a word is no part of a split.
    """
    known = (*SPLIT_SYNONYMS, *NO_SPLIT)
    if unknown := [key for key in parts if key.lower() not in known]:
        raise BadInputError(
            f"{path}: {unknown[0]!r} is no part of a split; a split must be an object of train, "
            "val and test lists, and perhaps one called none"
        )
    return parts


def locate(
    path: Path, members: Mapping[str, list[int | str]], ids: pa.LargeStringArray, by: str
) -> tuple[dict[str, NDArray[np.int64]], str]:
    """int64 record positions, and the meaning of the members, decided for the whole split."""
    values = [value for part in members.values() for value in part]
    names = column_without_formulas(string_array([str(value) for value in values]))
    names = pc.utf8_trim_whitespace(names)
    ids = pc.utf8_trim_whitespace(column_without_formulas(ids))
    if all_whole(ids):  # the graph will have 3 for 3.0
        names, ids = as_integers(names), as_integers(ids)
    positions = pc.index_in(names, value_set=ids)
    rows = pc.fill_null(positions, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    known = rows >= 0
    integers = all(type(value) is int for value in values)
    meaning = "node ids"
    if by == "position" or (by == "auto" and values and integers and not known.any()):
        numbers = np.array([value if type(value) is int else -1 for value in values])
        rows = np.where((numbers >= 0) & (numbers < len(ids)), numbers, -1)
        meaning = "positions in the node files"
    starts = np.cumsum([0, *(len(part) for part in members.values())])
    for (key, part), start in zip(members.items(), starts[:-1], strict=True):
        unknown = np.flatnonzero(rows[start : start + len(part)] < 0)
        if len(unknown):
            first = int(unknown[0])
            expected = "neither a node's id nor a position in the node files"
            if by == "position":
                expected = f"no position in the node files, which hold {len(ids):,} nodes"
            elif known.any() or by == "id":
                expected = f"no node's id, unlike {int(known.sum()):,} other members"
                expected += "; if all are positions, say --split-by position" if integers else ""
            raise BadInputError(f"{path}: {key}[{first}] is {part[first]!r}, which is {expected}")
        check_once(f"{path}: {key}", part, rows[start : start + len(part)], meaning)
    pieces = np.split(rows.astype(np.int64), starts[1:-1])
    return dict(zip(members, pieces, strict=True)), meaning


def check_once(
    where: str, part: Sequence[int | str], rows: NDArray[np.int64], meaning: str
) -> None:
    """Refuses a part of a split that names a node twice.

    Args:
        part: its members, as they are written
        rows: the node record of each, int64

    Raises:
        BadInputError: it does.
    """
    firsts = np.unique(rows, return_index=True)[1]
    if len(firsts) == len(rows):
        return
    again = int(np.setdiff1d(np.arange(len(rows)), firsts)[0])
    before = int(np.argmax(rows == rows[again]))
    raise BadInputError(
        f"{where}[{again}] is {part[again]!r}, the same node as [{before}], {part[before]!r}; "
        f"name each node once (members are read as {meaning}, and never as a mask)"
    )
