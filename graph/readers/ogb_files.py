"""The files of an Open Graph Benchmark folder: numbers without a header, mappings, splits."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graph.errors import BadInputError, SourceError
from graph.readers.delimited import read_delimited
from graph.readers.text_lines import read_lines
from graph.text_graph import string_array

SPLIT_FILES = {"train": "train", "val": "valid", "test": "test"}


def table_file(folder: Path, name: str) -> Path:
    """A CSV file of the folder, gzipped or not.

    Raises:
        SourceError: it is missing.
    """
    for suffix in (".csv.gz", ".csv"):
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise SourceError(
        f"{folder / name}.csv.gz is missing; expected raw/edge.csv.gz, raw/node-label.csv.gz "
        "and raw/num-node-list.csv.gz in the folder"
    )


def integers(path: Path, width: int) -> NDArray[np.int64]:
    """int64 [rows, width] of a CSV file without a header.

    Raises:
        BadInputError: a line is anything else; an empty or fractional label counts as none, -1.
    """
    rows: list[str] = [line.rstrip("\r\n") for line in read_lines(path)]
    columns = pc.split_pattern(pa.array(rows), ",")
    widths = pc.list_value_length(columns).to_numpy(zero_copy_only=False)
    if (widths != width).any():
        line = int(np.argmax(widths != width))
        raise BadInputError(
            f"{path}:{line + 1}: expected {width} numbers, found {rows[line]!r:.60}"
        )
    flat = pc.utf8_trim_whitespace(columns.flatten())
    if width == 1:  # labels: none is written as nothing or as nan, numbers perhaps as 3.0
        flat = pc.if_else(pc.is_in(flat, value_set=pa.array(["", "nan"])), "-1", flat)
        flat = pc.replace_substring_regex(flat, r"\.0*$", "")
    bad = pc.invert(pc.match_substring_regex(flat, r"^-?\d{1,18}$"))
    if pc.any(bad).as_py():
        line = int(np.argmax(bad.to_numpy(zero_copy_only=False))) // width
        raise BadInputError(f"{path}:{line + 1}: expected whole numbers, found {rows[line]!r:.60}")
    numbers: NDArray[np.int64] = flat.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers.reshape(-1, width)


def node_count(folder: Path) -> int:
    path = table_file(folder, "raw/num-node-list")
    counts = integers(path, 1)
    if len(counts) != 1:
        raise BadInputError(f"{path}: {len(counts)} graphs; only a folder of one graph can be read")
    return int(counts[0, 0])


def mapping(folder: Path, prefix: str) -> tuple[Path, list[tuple[int, str]]] | None:
    """A file of mapping/ that starts so, as (number, name) pairs; None where there is none."""
    found = sorted((folder / "mapping").glob(f"{prefix}*.csv*"))
    if not found:
        return None
    path, pairs = found[0], []
    for line, columns, values in read_delimited(path, ","):
        if len(columns) < 2 or not str(values[0]).strip().isdecimal():
            raise BadInputError(
                f"{path}:{line}: expected a number and a name, found {values!r:.60}"
            )
        pairs.append((int(str(values[0])), str(values[1]).strip()))
    return path, pairs


def node_ids(folder: Path, count: int) -> pa.LargeStringArray:
    """large_string [N]: the ids of mapping/nodeidx2….csv.gz, or else the nodes' numbers."""
    found = mapping(folder, "nodeidx2")
    if found is None:
        return string_array(map(str, range(count)))
    path, pairs = found
    if sorted(number for number, _ in pairs) != list(range(count)):
        raise BadInputError(f"{path}: must name each of the {count:,} nodes once")
    return string_array(name for _, name in sorted(pairs))


def label_names(folder: Path) -> list[str] | None:
    """The names of mapping/labelidx2….csv.gz by number; None where there is no such file."""
    found = mapping(folder, "labelidx2")
    if found is None:
        return None
    names = dict(found[1])
    return [names.get(number, str(number)) for number in range(max(names, default=-1) + 1)]


def read_split(folder: Path, name: str, count: int) -> dict[str, NDArray[np.int64]] | None:
    """Split name → node numbers; None where the folder has no split.

    Raises:
        BadInputError: there are several and `name` picks none of them, or a number is no node.
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
        rows = integers(path, 1)[:, 0]
        outside = np.flatnonzero((rows < 0) | (rows >= count))
        if len(outside):
            line = int(outside[0])
            raise BadInputError(
                f"{path}:{line + 1}: {rows[line]} is no node; there are {count:,}, from 0"
            )
        members[split] = rows
    return members
