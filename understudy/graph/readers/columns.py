"""Converts the columns of a node file to the columns of a graph."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.builder import Built
from understudy.graph.building.reading import Reading
from understudy.graph.building.records import EdgeTable, NodeTable, Source, null_strings
from understudy.graph.building.split_names import holds_split, unread_splits
from understudy.graph.errors import BadInputError
from understudy.graph.missing import UNKNOWN_MARKS, missing_words
from understudy.graph.numerals import is_number, whole_number
from understudy.graph.readers.fields import NodeFields
from understudy.graph.readers.finding import NOT_READ
from understudy.graph.splits import SPLIT_NAMES

SPLIT_COLUMNS = (
    "name a column of the words train, val and test with --split-field, call columns of masks "
    "train_mask, val_mask and test_mask, or say --split-field none"
)
PlacedColumns = tuple[NDArray[np.int64], list[pa.LargeStringArray]]  # places, columns


Value = TypeVar("Value")  # of one record, or an array for all


class Columns(NamedTuple, Generic[Value]):
    """One record, or all of a file as arrays; missing columns are null."""

    ids: Value
    texts: Value
    labels: Value
    class_names: Value
    splits: Value
    groups: Value


def split_of_masks(masks: Sequence[bool], where: str) -> str | None:
    """The split whose mask includes a node.

    Raises:
        BadInputError: several masks do.
    """
    names = [name for name, member in zip(SPLIT_NAMES, masks, strict=True) if member]
    if len(names) > 1:
        raise BadInputError(
            f"{where}: the node is in the masks of {' and '.join(names)}; it may be in one split"
        )
    return names[0] if names else None


def node_table(
    source: Source,
    columns_read: PlacedColumns,
    reading: Reading,
    neighbors: PlacedColumns | None = None,
) -> NodeTable:
    """The records of a file; a column that only may be a split must contain splits."""
    places, filled = columns_read
    columns = Columns(*filled)
    splits = columns.splits
    loose = reading.used.get("loose_split")
    if loose and not holds_split(splits):
        remark = f"{loose[0]} holds no word for train, so it is no split"
        reading = unread(reading, "loose_split", remark)
        splits = null_strings(len(places))
    elif loose:
        used = {("split" if role == "loose_split" else role): n for role, n in reading.used.items()}
        reading = replace(reading, used=used)
    edges = None
    if neighbors is not None and "neighbors" in reading.used:
        sources, targets = neighbors[1]
        edges = EdgeTable(source, neighbors[0], sources, targets, of_nodes=True)
    return NodeTable(
        source,
        places,
        ids=columns.ids,
        texts=columns.texts,
        labels=columns.labels,
        splits=splits,
        groups=columns.groups,
        class_names=columns.class_names if "class_name" in reading.used else None,
        neighbors=edges,
        reading=reading,
    )


def with_hints(built: Built, tables: Sequence[NodeTable], fields: NodeFields) -> Built:
    """Adds what the user may have forgotten to name: a split, labels, or edges."""
    readings = [table.reading for table in tables]
    remarks = [remark for reading in readings for remark in reading.remarks]
    names = dict.fromkeys(name for reading in readings for name in reading.unread)
    left = [name for name in names if not any(remark.startswith(name) for remark in remarks)]
    hints: list[str] = []
    if built.random_split and fields.split != NOT_READ:
        hints += unread_splits(left, SPLIT_COLUMNS)
    used = {role for reading in readings for role in reading.used}
    if left and not fields.label and not used & {"label", "class_name"}:
        hints.append(
            "no column is called like a label, so no node has one; name the one that holds labels "
            "with --label-field"
        )
    files = built.graph.reading.get("files", ())
    if len(files) == len(tables) and not fields.neighbors and "neighbors" not in used:
        hints.append(
            "no edges are given; name a file of them with --edges, or a column of neighbours with "
            "--neighbors-field"
        )
    return replace(built, remarks=(*built.remarks, *hints))


def unread(reading: Reading, role: str, remark: str = "") -> Reading:
    """The reading without the columns of a role, which turned out to be unusable."""
    used = {name: columns for name, columns in reading.used.items() if name != role}
    remarks = (*reading.remarks, remark) if remark else reading.remarks
    return replace(
        reading, used=used, unread=(*reading.used[role], *reading.unread), remarks=remarks
    )


def with_class_names(tables: Sequence[NodeTable]) -> list[NodeTable]:
    """Uses a second column as the names for the numbers in the first.

    That applies if every label of every file is a whole number, and numbers and names correspond
    one to one.
    """
    labeled = [table for table in tables if table.labels.null_count < len(table)]
    named = labeled and all(table.class_names is not None for table in labeled)
    if named and one_to_one(
        pa.concat_arrays([table.labels for table in labeled]),
        pa.concat_arrays([table.class_names for table in labeled]),
    ):
        return [
            renamed_table(table) if table.class_names is not None else table for table in tables
        ]
    return [
        replace(table, class_names=None, reading=unread(table.reading, "class_name"))
        if table.class_names is not None
        else table
        for table in tables
    ]


def renamed_table(table: NodeTable) -> NodeTable:
    """The table with names for labels; a number that means no label stays."""
    numbers = dict.fromkeys(pc.unique(table.labels).to_pylist())
    nothing = [value for value in numbers if value is None or not counts(value)]
    none = pc.is_in(table.labels, value_set=pa.array(nothing, pa.large_string()))
    labels = pc.if_else(none, table.labels, table.class_names)
    used = {name: columns for name, columns in table.reading.used.items() if name != "class_name"}
    number = table.reading.used["label"]
    used["label"] = table.reading.used["class_name"]
    remark = f"label names the numbers in {'+'.join(number)}"
    reading = replace(table.reading, used=used, remarks=(*table.reading.remarks, remark))
    return replace(table, labels=labels, class_names=None, reading=reading)


def counts(label: str) -> bool:
    """Whether a label is the number of a class."""
    number = whole_number(label.strip())
    return number is not None and number >= 0


def one_to_one(labels: pa.LargeStringArray, names: pa.LargeStringArray) -> bool:
    """Whether each number in `labels` has a name that no other number has."""
    labels, names = pc.utf8_trim_whitespace(labels), pc.utf8_trim_whitespace(names)
    absent = pc.fill_null(pc.or_(missing_words(labels, UNKNOWN_MARKS), pc.equal(labels, "")), True)
    pairs = pa.table({"label": labels, "name": names}).filter(pc.invert(absent))
    rows = pairs.group_by(["label", "name"]).aggregate([]).to_pylist()
    if not rows or any(whole_number(row["label"]) is None for row in rows):
        return False
    rows = [row for row in rows if counts(row["label"])]
    name_of_label: dict[str, str] = {}
    for row in rows:
        name = row["name"]
        if not name or is_number(name) or name_of_label.setdefault(row["label"], name) != name:
            return False
    return bool(name_of_label) and len(set(name_of_label.values())) == len(name_of_label)
