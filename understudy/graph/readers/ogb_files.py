"""Reads files of an Open Graph Benchmark folder: numbers without a header, mappings, splits."""

import re
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.builder import GivenSplit
from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.missing import is_missing
from understudy.graph.numerals import whole_number
from understudy.graph.readers.delimited import Header, read_delimited
from understudy.graph.readers.packed import open_bytes
from understudy.graph.readers.text_lines import read_lines
from understudy.graph.text_graph import string_array
from understudy.progress import Progress, silent

SPLIT_FILES = {"train": "train", "val": "valid", "test": "test"}
NUMBER = re.compile(r"[0-9]{1,18}")  # of a node or a class


def table_file(folder: Path, name: str) -> Path:
    """A CSV file of the folder, gzipped or not.

    Raises:
        SourceError: it is missing.
        BadInputError: both forms exist.
    """
    paths = [folder / f"{name}{suffix}" for suffix in (".csv.gz", ".csv")]
    forms = [path for path in paths if path.is_file()]
    if len(forms) > 1:
        raise BadInputError(f"{forms[0]} and {forms[1].name} are both there; remove one of them")
    if forms:
        return forms[0]
    below = sorted(path.parent.parent for path in folder.glob("*/raw/edge.csv*"))
    hint = f"; did you mean {below[0]}?" if below else ""
    expected = "raw/edge.csv.gz, raw/node-label.csv.gz and raw/num-node-list.csv.gz in the folder"
    if name.startswith("split/"):
        expected = (
            "train.csv.gz, valid.csv.gz and test.csv.gz of a split, of which one may be empty"
        )
    raise SourceError(f"{folder / name}.csv.gz is missing; expected {expected}{hint}")


def integers(
    path: Path, width: int, progress: Progress = silent, empty: bool = False
) -> NDArray[np.int64]:
    """int64 [rows, width] of a CSV file without a header.

    Args:
        empty: whether an empty file is valid, with no rows.

    Raises:
        BadInputError: a line is anything else.
    """
    if empty and is_empty(path):
        return np.empty((0, width), np.int64)
    return numbers_of(path, [line.rstrip("\r\n") for line in read_lines(path, progress)], width)


def check_begins(path: Path, width: int) -> None:
    """Checks the first line of a file of numbers, before all of it is read.

    Raises:
        BadInputError: see `integers`.
    """
    numbers_of(path, [line.rstrip("\r\n") for line in islice(read_lines(path), 1)], width)


def numbers_of(path: Path, rows: list[str], width: int) -> NDArray[np.int64]:
    """int64 [rows, width] of the first lines of a file, or all of them.

    Raises:
        BadInputError: a line is anything else.
    """
    columns = pc.split_pattern(pa.array(rows), ",")
    widths = pc.list_value_length(columns).to_numpy(zero_copy_only=False)
    if (widths != width).any():
        line = int(np.argmax(widths != width))
        raise BadInputError(
            f"{path}:{line + 1}: expected {width} numbers, found {rows[line]!r:.60}"
        )
    flat = pc.utf8_trim_whitespace(columns.flatten())
    bad = pc.invert(pc.match_substring_regex(flat, r"^-?\d{1,18}$"))
    if pc.any(bad).as_py():
        line = int(np.argmax(bad.to_numpy(zero_copy_only=False))) // width
        raise BadInputError(f"{path}:{line + 1}: expected whole numbers, found {rows[line]!r:.60}")
    numbers: NDArray[np.int64] = flat.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers.reshape(-1, width)


def is_empty(path: Path) -> bool:
    with open_bytes(path) as stream:
        return not stream.read(1)


def class_numbers(path: Path) -> pa.LargeStringArray:
    """large_string [N]: the labels as words: class numbers, or words for a missing label.

    Raises:
        BadInputError: a line is neither, or holds several labels.
    """
    words = [line.strip() for line in read_lines(path)]
    different = {word for word in set(words) if not is_missing(word) and whole_number(word) is None}
    if different:
        line = next(number for number, word in enumerate(words, 1) if word in different)
        word = words[line - 1]
        several = "; several labels a node cannot be read" if "," in word else ""
        raise BadInputError(f"{path}:{line}: expected a class number, found {word!r:.60}{several}")
    return string_array(words)


def node_count(folder: Path) -> int:
    return count_of(table_file(folder, "raw/num-node-list"))


def check_edge_count(folder: Path, edge_file: Path, edges: int) -> None:
    """Refuses a truncated file of edges, if the folder records their number.

    Raises:
        BadInputError: there are more, or fewer.
    """
    name = "raw/num-edge-list"
    if not any((folder / f"{name}{suffix}").is_file() for suffix in (".csv.gz", ".csv")):
        return
    path = table_file(folder, name)
    if (stated := count_of(path)) != edges:
        raise BadInputError(
            f"{edge_file}: {edges:,} edges, and {path.name} says {stated:,}; fetch or unpack "
            "it again"
        )


def count_of(path: Path) -> int:
    """The single number of a file with one number per graph.

    Raises:
        BadInputError: it has several.
    """
    counts = integers(path, 1)
    if len(counts) != 1:
        raise BadInputError(f"{path}: {len(counts)} graphs; only a folder of one graph can be read")
    return int(counts[0, 0])


def mapping(folder: Path, prefix: str) -> tuple[Path, list[tuple[int, str]]] | None:
    """The (number, name) pairs of the file in mapping/ with a prefix; None if there is none.

    Raises:
        BadInputError: there are several files, or a line is no such pair.
    """
    files = sorted(path for path in (folder / "mapping").glob(f"{prefix}*.csv*") if path.is_file())
    if not files:
        return None
    if len(files) > 1:
        raise BadInputError(
            f"{folder / 'mapping'}: {' and '.join(path.name for path in files)} both begin with "
            f"{prefix}; remove all but the one meant"
        )
    path, pairs = files[0], []
    for line, columns, values in read_delimited(path, ",", Header(True)):
        if len(columns) < 2 or not NUMBER.fullmatch(str(values[0]).strip()):
            raise BadInputError(
                f"{path}:{line}: expected a number and a name, found {values!r:.60}"
            )
        pairs.append((int(str(values[0])), str(values[1]).strip()))
    return path, pairs


def node_ids(folder: Path, count: int) -> pa.LargeStringArray:
    """large_string [N]: the ids of mapping/nodeidx2….csv.gz, otherwise the nodes' numbers."""
    ids_file = mapping(folder, "nodeidx2")
    if ids_file is None:
        return string_array(map(str, range(count)))
    path, pairs = ids_file
    if sorted(number for number, _ in pairs) != list(range(count)):
        raise BadInputError(f"{path}: must name each of the {count:,} nodes once, below a header")
    named = Counter(name for _, name in pairs)
    if twice := [name for name, times in named.items() if times > 1]:
        raise BadInputError(f"{path}: two nodes have the id {twice[0]!r:.100}; each needs its own")
    return string_array(name for _, name in sorted(pairs))


def label_names(folder: Path) -> dict[int, str | None] | None:
    """The names of mapping/labelidx2….csv.gz by number; None if there is no such file.

    Raises:
        BadInputError: a class has two names.
    """
    named = mapping(folder, "labelidx2")
    if named is None:
        return None
    names: dict[int, str | None] = {}
    for number, name in named[1]:
        if names.setdefault(number, name) != name:
            raise BadInputError(
                f"{named[0]}: the class {number} has two names, {names[number]!r} and {name!r}; "
                "keep one"
            )
    return names


def read_split(folder: Path, name: str, count: int) -> GivenSplit | None:
    """The split of the folder; None if it has none.

    Raises:
        BadInputError: there are several and `name` selects none of them, or a number is no node, or
            named twice.
    """
    root = folder / "split"
    choices = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if not choices and not name:
        return None
    if (name or len(choices) > 1) and name not in choices:
        listed = ", ".join(choices) or "none"
        raise BadInputError(f"{root}: choose one with --split-name; there are: {listed}")
    members = {}
    for split, file_name in SPLIT_FILES.items():
        path = table_file(folder, f"split/{name or choices[0]}/{file_name}")
        rows = integers(path, 1, empty=True)[:, 0]
        outside = np.flatnonzero((rows < 0) | (rows >= count))
        if len(outside):
            line = int(outside[0])
            raise BadInputError(
                f"{path}:{line + 1}: {rows[line]} is no node; there are {count:,}, from 0"
            )
        first = np.unique(rows, return_index=True)[1]
        if len(first) < len(rows):
            line = int(np.setdiff1d(np.arange(len(rows)), first)[0])
            raise BadInputError(
                f"{path}:{line + 1}: the node {rows[line]} is named a second time; the file must "
                "hold the positions of nodes, each once, and no mask"
            )
        members[split] = rows
    return GivenSplit(members, f"folder split/{name or choices[0]}")
