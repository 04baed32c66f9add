"""Given splits: the common names of their parts, and the membership of nodes."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.node_checks import NodeColumns
from understudy.graph.errors import BadInputError
from understudy.graph.missing import without_missing
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
SPLIT_LIKE = re.compile(
    r"(?:^|[_\W])(?:train|val|valid|test|splits?|masks?|folds?|partitions?)(?:$|[_\W])", re.I
)
SHOWN = 5


def split_from_column(
    records: NodeColumns, kept: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """The splits from the nodes' own column; empty if it names none.

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


def holds_split(column: pa.LargeStringArray) -> bool:
    """Whether some value is a word for train; one for test alone may mean something else."""
    values: list[str] = pc.unique(column.drop_null()).to_pylist()
    return any(SPLIT_SYNONYMS.get(value.strip().lower()) == "train" for value in values)


def unread_splits(names: Iterable[str], advice: str) -> tuple[str, ...]:
    """A remark on columns or keys that were not read while a split was drawn, and which by their
    names may hold the published one; empty if there are none.
    """
    found = [repr(name) for name in names if SPLIT_LIKE.search(name)]
    if not found:
        return ()
    verb = "is" if len(found) == 1 else "are"
    return (
        f"the split is drawn at random, and {', '.join(found[:SHOWN])} {verb} not read, which may "
        f"hold one: {advice}",
    )


def check_members(
    members: Mapping[str, NDArray[np.int64]],
    position: NDArray[np.int64],
    records: NodeColumns,
) -> dict[str, NDArray[np.int64]]:
    """Converts record positions to node indices; records that were left out are dropped.

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


def named_parts(where: str, parts: Mapping[Any, Any]) -> dict[str, Any]:
    """The parts of a split under their standard names; other words are dropped.

    Raises:
        BadInputError: two words mean the same part.
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
