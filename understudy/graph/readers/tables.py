"""Reads node and edge files of any format as columns of records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from understudy.graph.building import cells
from understudy.graph.building.cells import CellError
from understudy.graph.building.reading import ReadingLog
from understudy.graph.building.records import ColumnCollector, EdgeTable, NodeTable
from understudy.graph.errors import BadInputError
from understudy.graph.readers.columns import Columns, node_table, split_of_masks, with_class_names
from understudy.graph.readers.fields import (
    EdgeFields,
    NodeFields,
    NodeIndexes,
    check_named_columns,
    check_text,
    edge_indexes,
    node_indexes,
    numbered_node_fields,
)
from understudy.graph.readers.formats import (
    PARQUET,
    Files,
    Rows,
    parts_of,
    suffix_of,
)
from understudy.graph.readers.jsonl import kind
from understudy.graph.readers.parquet import read_parquet_edges, read_parquet_nodes

KINDS = 1_024  # number of distinct key sets whose columns are cached
ENDS = ("source", "target")


def read_nodes(paths: Sequence[Path], fields: NodeFields, files: Files) -> list[NodeTable]:
    """Reads node files, or folders of their parts.

    Raises:
        SourceError: a file cannot be read.
        BadInputError: one is damaged, or a column is missing or of a wrong type.
    """
    tables = []
    parts = [part for whole in paths for part in parts_of(whole, "nodes")]
    for path in parts:
        if suffix_of(path, "nodes") in PARQUET:
            tables.append(read_parquet_nodes(path, fields, files.progress))
        else:
            tables.append(read_node_rows(files.rows(path, "nodes"), fields, len(parts) > 1))
    used: dict[str, set[str]] = {}
    for table in tables:
        for role, names in table.reading.used.items():
            used.setdefault(role, set()).update(names)
    first = tables[0].reading
    check_named_columns(first.file, first.columns(), fields, used)
    return with_class_names(tables)


def read_node_rows(rows: Rows, fields: NodeFields, part: bool = False) -> NodeTable:
    """Reads the records of one node file.

    Args:
        part: it is one of several, and may hold only a header.
    """
    file = rows.source.file
    collector, neighbors = ColumnCollector(len(Columns._fields)), ColumnCollector(2)
    log = ReadingLog(file)
    last: Sequence[str] = ()
    first: Sequence[str] = ()
    seen: dict[tuple[str, ...], NodeIndexes] = {}  # objects of JSON differ in their keys
    for place, columns, values in rows.rows:
        if not last or columns != last:
            key = tuple(columns)
            if key not in seen:
                make_room(seen)
                named = known(rows, columns, fields)
                seen[key] = node_indexes(rows.source.at(place), columns, named)
                log.named = not unnamed(rows, columns)
                log.add(columns, seen[key].roles())
            indexes = seen[key]
            first, last = first or columns, columns
        if log.named and is_header_again(columns, values):
            raise BadInputError(
                f"{rows.source.at(place)}: the header again, as in files that were put together; "
                "remove the line"
            )
        try:
            row = node_row(values, indexes, partial(rows.source.at, place))
            collector.add(place, row)
            if indexes.neighbors is not None:
                for neighbor in cells.neighbors_of(values[indexes.neighbors]):
                    neighbors.add(place, (cells.name_of(values[indexes.id]), neighbor))
        except CellError as error:
            raise wrong_value(
                rows.source.at(place), columns, values, indexes.roles(), error
            ) from error
    if not last and part and rows.head is not None and rows.head.named:
        first = rows.head.columns
        log.add(first, node_indexes(file, first, fields).roles())
    elif not last:
        raise BadInputError(f"{file}: contains no nodes, only blank lines or a header")
    check_text(file, first, known(rows, first, fields), log.used.get("text", ()))
    log.remarks.extend(rows.remarks)
    return node_table(rows.source, collector.finish(), log.finish(), neighbors.finish())


def make_room(seen: dict[tuple[str, ...], Any]) -> None:
    """Clears the cache of columns if keys differ in every record."""
    if len(seen) >= KINDS:
        seen.clear()


def is_header_again(columns: Sequence[str], values: Sequence[object]) -> bool:
    """Whether a record repeats the names of its columns, possibly after a byte order mark.

    In an edge file it would be an edge between unknown nodes, which is reported.
    """
    first = values[0]
    if not (isinstance(first, str) and first.strip("\ufeff \t") == columns[0]):
        return False
    rest = [value.strip() if isinstance(value, str) else "" for value in values[1:]]
    return bool(rest) and rest == list(columns[1:])


def known(rows: Rows, columns: Sequence[str], fields: NodeFields) -> NodeFields:
    """The fields, by position if the file has no header, with the format's own id."""
    if unnamed(rows, columns):
        return numbered_node_fields(fields, len(columns))
    return replace(fields, id=fields.id or "id") if rows.own else fields


def known_ends(rows: Rows, columns: Sequence[str], fields: EdgeFields) -> EdgeFields:
    """The columns of the ends, by position if the file has no header, or the format's own."""
    if unnamed(rows, columns):
        return EdgeFields(fields.source or "1", fields.target or "2")
    if rows.own:
        return EdgeFields(fields.source or "source", fields.target or "target")
    return fields


def unnamed(rows: Rows, columns: Sequence[str]) -> bool:
    """Whether the columns of a row have only numbers as names."""
    return rows.numbered and tuple(columns[:1]) == ("1",)


def read_edges(path: Path, fields: EdgeFields, files: Files) -> list[EdgeTable]:
    """Reads an edge file, or a folder of its parts.

    Raises:
        SourceError: a file cannot be read.
        BadInputError: one is damaged, or a column is missing or of a wrong type.
    """
    tables = []
    for part in parts_of(path, "edges"):
        if suffix_of(part, "edges") in PARQUET:
            tables.append(read_parquet_edges(part, fields, files.progress))
        else:
            tables.append(read_edge_rows(files.rows(part, "edges"), fields))
    return tables


def read_edge_rows(rows: Rows, fields: EdgeFields) -> EdgeTable:
    """Reads the records of one edge file."""
    collector = ColumnCollector(2)
    log = ReadingLog(rows.source.file)
    last: Sequence[str] = ()
    seen: dict[tuple[str, ...], tuple[int, int]] = {}

    def find(place: int, columns: Sequence[str]) -> tuple[int, int]:
        key = tuple(columns)
        if key not in seen:
            make_room(seen)
            log.named = not unnamed(rows, columns)
            named = known_ends(rows, columns, fields)
            seen[key] = edge_indexes(rows.source.at(place), columns, named)
            log.add(columns, {role: (i,) for role, i in zip(ENDS, seen[key], strict=True)})
        return seen[key]

    for place, columns, values in rows.rows:
        if not last or columns != last:
            (source, target), last = find(place, columns), columns
        try:
            collector.add(place, (cells.name_of(values[source]), cells.name_of(values[target])))
        except CellError as error:
            used = {role: (i,) for role, i in zip(ENDS, (source, target), strict=True)}
            raise wrong_value(rows.source.at(place), columns, values, used, error) from error
    if not last and rows.head is not None and rows.head.named:  # there is only a header
        find(rows.head.line, rows.head.columns)
    log.remarks.extend(rows.remarks)
    places, filled = collector.finish()
    sources, targets = filled
    return EdgeTable(rows.source, places, sources, targets, log.finish())


def node_row(
    values: Sequence[object], indexes: NodeIndexes, where: Callable[[], str]
) -> Columns[str | None]:
    """Converts one record.

    Raises:
        CellError: a value has the wrong type for its column.
        BadInputError: the node is in several masks.
    """

    def at(index: int | None) -> object:
        return None if index is None else values[index]

    split = (cells.word_of if indexes.loose_split else cells.name_of)(at(indexes.split))
    if indexes.masks[0] is not None:
        masks = [cells.mask_of(at(index)) for index in indexes.masks]
        split = split_of_masks(masks, where())
    return Columns(
        ids=cells.name_of(values[indexes.id]),
        texts=cells.joined([cells.text_of(values[index]) for index in indexes.text]),
        labels=cells.label_of(at(indexes.label)),
        class_names=cells.label_of(at(indexes.class_name)),
        splits=split,
        groups=cells.name_of(at(indexes.group)),
    )


READERS: dict[str, Callable[[object], object]] = {
    "text": cells.text_of,
    "label": cells.label_of,
    "class_name": cells.label_of,
    "masks": cells.mask_of,
    "loose_split": cells.word_of,
    "neighbors": cells.neighbors_of,
}


def wrong_value(
    where: str,
    columns: Sequence[str],
    values: Sequence[object],
    roles: Mapping[str, Sequence[int]],
    error: CellError,
) -> BadInputError:
    """The error for a record, naming its invalid value."""
    for role, indexes in roles.items():
        for index in indexes:
            try:
                READERS.get(role, cells.name_of)(values[index])
            except CellError:
                value = values[index]
                return BadInputError(
                    f"{where}: column {columns[index]!r} must be {error}, "
                    f"found {kind(value)}: {value!r:.60}"
                )
    raise error
