"""Given splits: what people call them, and members named in a file of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.node_checks import NodeColumns
from understudy.graph.errors import BadInputError
from understudy.graph.missing import without_missing
from understudy.graph.numerals import EXACT_FLOATS, all_whole, as_integers
from understudy.graph.readers.jsonl import read_value
from understudy.graph.splits import SPLIT_NAMES
from understudy.graph.text_graph import string_array

SPLIT_SYNONYMS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
NO_SPLIT = ("none", "unused", "unlabeled", "unlabelled")
SPLIT_BY = ("auto", "id", "position")


def split_from_column(
    records: NodeColumns, kept: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """The splits that the nodes' own column names; empty where it names none.

    Raises:
        BadInputError: a value that is no split.
    """
    column = pc.utf8_lower(without_missing(records.splits.take(pa.array(kept))))
    found = pc.index_in(column, value_set=string_array([*SPLIT_SYNONYMS, *NO_SPLIT]))
    bad = pc.and_(found.is_null(), column.is_valid()).to_numpy(zero_copy_only=False)
    if bad.any():
        record = int(kept[np.argmax(bad)])
        raise BadInputError(
            f"{records.at(record)}: {records.splits[record].as_py()!r:.100} is no split; "
            "use train, val, test, or none, name another column with --split-field, or read none "
            "with --split-field none"
        )
    codes = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
    meanings = np.array([SPLIT_NAMES.index(name) for name in SPLIT_SYNONYMS.values()])
    part = np.where((codes >= 0) & (codes < len(meanings)), meanings[codes % len(meanings)], -1)
    splits = {name: np.flatnonzero(part == index) for index, name in enumerate(SPLIT_NAMES)}
    return {name: members for name, members in splits.items() if len(members)}


def split_words(column: pa.LargeStringArray) -> list[bool]:
    """Of each different value, whether it is a word for a split."""
    values: list[str] = pc.unique(column.drop_null()).to_pylist()
    return [value.strip().lower() in SPLIT_SYNONYMS for value in values]


def check_members(
    members: Mapping[str, NDArray[np.int64]],
    position: NDArray[np.int64],
    records: NodeColumns,
) -> dict[str, NDArray[np.int64]]:
    """Node indices from record positions; records that were left out drop out of their split.

    Raises:
        BadInputError: a node is in two splits.
    """
    seen: dict[str, NDArray[np.int64]] = {}
    for name, rows in members.items():
        nodes = np.unique(position[rows])
        for other, taken in seen.items():
            both = np.intersect1d(nodes[nodes >= 0], taken)
            if len(both):
                record = int(np.flatnonzero(position == both[0])[0])
                raise BadInputError(
                    f"{records.at(record)}: node {records.ids[record].as_py()!r} is in {other} "
                    f"and in {name}; each node may be in one split"
                )
        seen[name] = nodes[nodes >= 0]
    return {name: seen[name] for name in SPLIT_NAMES if name in seen}


@dataclass(frozen=True)
class NamedSplit:
    """A split of a file of its own.

    Shapes:
        members: split name → int64 node record positions
    """

    members: dict[str, NDArray[np.int64]]
    origin: str  # where it came from and how its members were read, in words


def read_members(path: Path, name: str | None) -> dict[str, list[int | str]]:
    """One split of a JSON file `{name: {train: [...], val: [...], test: [...]}}`, as written.

    Args:
        name: may be None where the file has one split, or is itself `{train: [...], ...}`.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is not such a file, or has no such split.
    """
    parts = choose(path, read_value(path, "expected an object of named splits"), name)
    return {key: members_of(path, key, v) for key, v in named_parts(str(path), parts).items()}


def members_of(path: Path, key: str, values: Any) -> list[int | str]:
    """The members of a part, of which whole numbers may have become floats.

    Raises:
        BadInputError: they are no list of ids or positions.
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
        by: what members are: id · position, in the node files from 0 · auto: ids if all are, or
            positions if they are integers of which none is an id

    Raises:
        BadInputError: it names an unknown node or one twice, or only some of its integers are ids.
    """
    rows, meaning = locate(path, members, ids, by)
    which = f" {name!r}" if name else ""
    return NamedSplit(rows, f"--splits {path}{which}, members are {meaning}")


def choose(path: Path, value: Any, name: str | None) -> dict[str, Any]:
    """The one split asked for."""
    if not isinstance(value, dict) or not value:
        raise BadInputError(f"{path}: expected an object of named splits")
    if name is None and is_split(value):
        return checked(path, value)
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
    """The parts of a split, perhaps with one for nodes of none.

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


def named_parts(where: str, parts: Mapping[Any, Any]) -> dict[str, Any]:
    """Parts of a split under the names that graphs have for them; other words are left out.

    Raises:
        BadInputError: two words mean one part, of which a dict would keep one without a word.
    """
    words: dict[str, Any] = {}
    for word in parts:
        name = SPLIT_SYNONYMS.get(str(word).lower())
        if name is not None and words.setdefault(name, word) != word:
            raise BadInputError(
                f"{where}: {words[name]!r} and {word!r} both mean {name}; put their nodes together "
                "or remove one"
            )
    return {name: parts[word] for name, word in words.items()}


def locate(
    path: Path, members: Mapping[str, list[int | str]], ids: pa.LargeStringArray, by: str
) -> tuple[dict[str, NDArray[np.int64]], str]:
    """int64 record positions, and what the members are, told apart over the whole split."""
    values = [value for part in members.values() for value in part]
    names = pc.utf8_trim_whitespace(string_array([str(value) for value in values]))
    ids = pc.utf8_trim_whitespace(ids)
    if all_whole(ids):  # the graph will have 3 for 3.0
        names, ids = as_integers(names), as_integers(ids)
    found = pc.index_in(names, value_set=ids)
    rows = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
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
