"""Checks the node records of all files together: ids, repeats, and missing texts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.folders.names import SEEN
from understudy.graph.building.labels import read_labels
from understudy.graph.building.records import NodeTable
from understudy.graph.building.repairs import RepairLog
from understudy.graph.building.rounded_ids import ADVICE, is_shortened
from understudy.graph.errors import BadInputError
from understudy.graph.formulas import column_without_formulas
from understudy.graph.ids import first_unusable, id_problem
from understudy.graph.numerals import all_whole, as_integers

ROWS_A_STEP = 2**20  # number compared at once


@dataclass(frozen=True)
class NodeColumns:
    """All node records, in the order of their files.

    Shapes:
        ids, texts, labels, splits, groups: large_string [n]; trimmed, null if blank
    """

    tables: Sequence[NodeTable]
    ids: pa.LargeStringArray
    texts: pa.LargeStringArray
    labels: pa.LargeStringArray
    splits: pa.LargeStringArray
    groups: pa.LargeStringArray

    def __len__(self) -> int:
        return len(self.ids)

    def at(self, record: int) -> str:
        """The place of a record, for example "nodes.csv:7"."""
        table, place = self.place_of(record)
        return table.source.at(place)

    def id_at(self, record: int) -> str:
        """The place of a record's id, for example "nodes.csv:7, column 'id'"."""
        table, place = self.place_of(record)
        names = "+".join(table.reading.used.get("id", ()))
        return table.source.at(place) + (f", column {names!r}" if names else "")

    def other_ids(self, record: int) -> str:
        """Advice on a repeated id if the file has columns that may hold the ids instead."""
        reading = self.place_of(record)[0].reading
        (name, *_) = reading.used.get("id", ("",))
        if not name or not reading.named or not reading.unread:
            return ""
        return f"; ids are read from column {name!r}: if it holds none, name another, --id-field"

    def place_of(self, record: int) -> tuple[NodeTable, int]:
        """The table of a record, and its line or row there."""
        for table in self.tables:
            if record < len(table):
                return table, int(table.places[record])
            record -= len(table)
        raise IndexError(record)


def gather_nodes(tables: Sequence[NodeTable], negative_labels: str, log: RepairLog) -> NodeColumns:
    """Joins the tables, and interprets ids and labels.

    Raises:
        BadInputError: there is no record, or an id is empty or not allowed.
    """
    names = ("ids", "texts", "labels", "splits", "groups")
    columns = {
        name: trimmed(pa.concat_arrays([getattr(table, name) for table in tables]))
        for name in names
    }
    records = without_formulas(NodeColumns(tables, **columns), log)
    if not len(records):
        files = ", ".join(table.source.file for table in tables)
        raise BadInputError(f"{files}: contains no nodes; a graph needs at least one")
    if records.ids.null_count:
        missing = int(np.argmax(records.ids.is_null().to_numpy(zero_copy_only=False)))
        raise BadInputError(f"{records.at(missing)}: the node's id is empty; every node needs one")
    if (bad := first_unusable(records.ids)) is not None:
        raise BadInputError(
            f"{records.at(bad)}: the node's id {id_problem(records.ids[bad].as_py())}"
        )
    labels = read_labels(records.labels, negative_labels, log, records.at)
    texts = visible_texts(records, log)
    return replace(records, ids=plain_ids(records, log), texts=texts, labels=labels)


def without_formulas(records: NodeColumns, log: RepairLog) -> NodeColumns:
    """The records with the texts of a spreadsheet's formulas, such as `="007"`."""
    names = ("ids", "texts", "labels", "splits", "groups")
    columns = {name: getattr(records, name) for name in names}
    for name, column in columns.items():
        columns[name] = column_without_formulas(column)
        if columns[name] is not column:
            rows = changed_rows(column, columns[name])
            log.add("formulas", len(rows), records.at(int(rows[0])))
    return replace(records, **columns)


def changed_rows(before: pa.LargeStringArray, after: pa.LargeStringArray) -> NDArray[np.int64]:
    """int64: the rows of a column that became another text, or null."""
    kept = pc.fill_null(pc.equal(before, after), False)
    changed = pc.and_(before.is_valid(), pc.invert(kept))
    return np.flatnonzero(changed.to_numpy(zero_copy_only=False)).astype(np.int64)


def visible_texts(records: NodeColumns, log: RepairLog) -> pa.LargeStringArray:
    """The texts, null if no character is visible, for example only joiners and zero-width marks."""
    unseen = pc.invert(pc.match_substring_regex(records.texts, SEEN))
    mask = pc.fill_null(unseen, False).to_numpy(zero_copy_only=False)
    if not mask.any():
        return records.texts
    log.add("unseen_texts", int(mask.sum()), records.at(int(np.argmax(mask))))
    return pc.if_else(pa.array(mask), pa.scalar(None, pa.large_string()), records.texts)


def plain_ids(records: NodeColumns, log: RepairLog) -> pa.LargeStringArray:
    """Converts ids that are floats, as pandas makes of a column with gaps, back to integers."""
    if not all_whole(records.ids):
        return records.ids
    plain = as_integers(records.ids)
    changed = pc.not_equal(plain, records.ids).to_numpy(zero_copy_only=False)
    log.add("whole_float_ids", int(changed.sum()), records.at(int(np.argmax(changed))))
    return plain


def trimmed(column: pa.LargeStringArray) -> pa.LargeStringArray:
    """Trims blanks; null if nothing is left. A trimmed column is not copied."""
    if is_trimmed(column):
        return column
    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.large_string()), column)


def is_trimmed(column: pa.LargeStringArray) -> bool:
    """Whether no string is empty or has blanks around it."""
    for start in range(0, len(column), ROWS_A_STEP):
        part = column[start : start + ROWS_A_STEP]
        trimmed = pc.and_(pc.equal(pc.utf8_trim_whitespace(part), part), pc.not_equal(part, ""))
        if not pc.all(trimmed, min_count=0).as_py():
            return False
    return True


def distinct_nodes(
    records: NodeColumns, log: RepairLog
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Finds repeated ids; identical records are kept once.

    Returns:
        int64 [kept], the remaining records; int64 [n], for every record the first with its id

    Raises:
        BadInputError: two records share an id and differ.
    """
    codes = records.ids.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    _, first = np.unique(codes, return_index=True)
    first_of: NDArray[np.int64] = first[codes].astype(np.int64)
    repeated = np.flatnonzero(first_of != np.arange(len(records)))
    for record in repeated.tolist():
        earlier = int(first_of[record])
        check_not_rounded(records, record, earlier)
        for field in ("texts", "labels", "splits", "groups"):
            column = getattr(records, field)
            if column[record].as_py() != column[earlier].as_py():
                name = records.ids[record].as_py()
                raise BadInputError(
                    f"{records.at(record)}: id {name!r} is already at {records.at(earlier)} with "
                    f"another {field[:-1]}; remove or rename one of them"
                    f"{records.other_ids(record)}"
                )
    if len(repeated):
        log.add("repeated_nodes", len(repeated), records.at(int(repeated[0])))
    return np.setdiff1d(np.arange(len(records)), repeated, assume_unique=True), first_of


def check_not_rounded(records: NodeColumns, record: int, earlier: int) -> None:
    """Refuses an id that stands twice and was rounded: its nodes may be different ones.

    Raises:
        BadInputError: it is such an id.
    """
    name = records.ids[record].as_py()
    if is_shortened(name):
        raise BadInputError(
            f"{records.id_at(record)}: id {name!r} is already at {records.at(earlier)}; it is a "
            f"number that a spreadsheet has rounded, maybe of several nodes: {ADVICE}"
        )


def with_text(
    records: NodeColumns, kept: NDArray[np.int64], policy: str, log: RepairLog
) -> tuple[NDArray[np.int64], pa.LargeStringArray]:
    """Handles nodes without text by a policy: fail, skip or id.

    Returns:
        int64 [N], the remaining records; large_string [N], their texts

    Raises:
        BadInputError: a text is missing or blank and the policy is to fail.
    """
    texts = records.texts.take(pa.array(kept))
    missing = texts.is_null().to_numpy(zero_copy_only=False)
    if not missing.any():
        return kept, texts
    first = int(kept[np.argmax(missing)])
    where, count = records.at(first), int(missing.sum())
    if policy == "skip":
        log.add("nodes_without_text", count, where)
        return kept[~missing], texts.filter(pa.array(~missing))
    if policy == "id":
        log.add("texts_from_ids", count, where)
        return kept, pc.if_else(pa.array(missing), records.ids.take(pa.array(kept)), texts)
    others = f" (and {count - 1:,} more)" if count > 1 else ""
    raise BadInputError(
        f"{where}: node {records.ids[first].as_py()!r} has no text{others}; "
        "give it one, or use --missing-text skip or --missing-text id"
    )
