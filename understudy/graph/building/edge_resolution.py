"""Converts edge records to an adjacency: finds unknown endpoints, self-loops and repeats."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.cells import SPLITTING
from understudy.graph.building.dated_ids import could_be_dated, first_dated, is_dated
from understudy.graph.building.node_checks import NodeColumns, changed_rows, trimmed
from understudy.graph.building.records import EdgeTable
from understudy.graph.building.repairs import RepairLog
from understudy.graph.building.rounded_ids import ADVICE, is_shortened, rounded, rounded_from
from understudy.graph.csr import Adjacency, build_adjacency
from understudy.graph.errors import BadInputError
from understudy.graph.formulas import column_without_formulas
from understudy.graph.missing import missing_words
from understudy.graph.names import look_alike
from understudy.graph.numerals import (
    WHOLE_FLOAT,
    as_integers,
    grouped_alike,
    number_of,
    same_number,
)

UNKNOWN = -2  # no record has this id
LEFT_OUT = -1  # the record was left out of the graph
NO_PAIRS = np.empty((2, 0), np.int32)


def resolve_edges(
    tables: Sequence[EdgeTable],
    records: NodeColumns,
    position: NDArray[np.int64],
    num_nodes: int,
    skip_unknown: bool,
    log: RepairLog,
) -> Adjacency:
    """Builds the adjacency from the edges whose endpoints are known.

    Args:
        position: int64 [n], the node index of every record, or -1 if it was left out.

    Raises:
        BadInputError: an endpoint is no node's id, and `skip_unknown` is off.
    """
    tables = [without_missing(without_formulas(table, log), records.ids) for table in tables]
    found = first_found(tables, records.ids)
    place = position.astype(np.int32)
    pairs = [endpoints(table, found, records, place, log) for table in tables]
    for table, pair in zip(tables, pairs, strict=True):
        unknown = (pair == UNKNOWN).any(axis=0)
        if not unknown.any():
            continue
        row = int(np.argmax(unknown))
        if not skip_unknown:
            raise BadInputError(unknown_endpoint(table, pair, row, unknown, records))
        log.add("unknown_endpoints", int(unknown.sum()), at(table, row))
    for table, pair in zip(tables, pairs, strict=True):
        left_out = (pair == LEFT_OUT).any(axis=0) & (pair != UNKNOWN).all(axis=0)
        if left_out.any():
            log.add("edges_of_nodes_left_out", int(left_out.sum()), at(table, np.argmax(left_out)))
    usable = [(pair >= 0).all(axis=0) for pair in pairs]
    kept = [pair if mask.all() else pair[:, mask] for pair, mask in zip(pairs, usable, strict=True)]
    together = (kept[0] if len(kept) == 1 else np.concatenate([NO_PAIRS, *kept], axis=1)).T
    adjacency, dropped = build_adjacency(num_nodes, together)
    if dropped.self_loops or dropped.duplicates:
        rows = [np.flatnonzero(mask) for mask in usable]
        log_repeats(tables, rows, together, num_nodes, log)
    return adjacency


def without_formulas(table: EdgeTable, log: RepairLog) -> EdgeTable:
    """The edges with the texts of a spreadsheet's formulas, such as `="007"`.

    The source of a node's neighbour is the node's own id, which was counted among the nodes.
    """
    for end in ("sources", "targets"):
        before = getattr(table, end)
        after = column_without_formulas(before) if named(before) else before
        if after is not before:
            rows = changed_rows(before, after)
            if not (table.of_nodes and end == "sources"):
                log.add("formulas", len(rows), at(table, rows[0]))
            table = replace(table, **{end: after})
    return table


def without_missing(table: EdgeTable, ids: pa.LargeStringArray) -> EdgeTable:
    """Leaves out targets that stand alone in a node's record, are a word for a missing value, and
    are no node's id.
    """
    if not table.of_nodes or isinstance(table.targets, np.ndarray) or not len(table):
        return table
    targets = trimmed(table.targets)
    missing = missing_words(targets).to_numpy(zero_copy_only=False)
    if not missing.any():
        return table
    again = np.diff(table.places) == 0
    missing &= ~np.append(again, False) & ~np.insert(again, 0, False)
    missing[missing] = pc.invert(
        pc.is_in(targets.filter(pa.array(missing)), value_set=ids)
    ).to_numpy(zero_copy_only=False)
    kept = pa.array(~missing)
    sources = table.sources
    sources = sources[~missing] if isinstance(sources, np.ndarray) else sources.filter(kept)
    return replace(
        table,
        places=table.places[~missing],
        sources=sources,
        targets=table.targets.filter(kept),
    )


def first_found(tables: Sequence[EdgeTable], ids: pa.LargeStringArray) -> Iterator[pa.Int32Array]:
    """The records of the names at each end of each table, int32 [e], null if there is none.

    All are looked up at once, because that hashes the ids, which takes seconds for millions, and a
    folder may have hundreds of parts.
    """
    ends = (end for table in tables for end in (table.sources, table.targets))
    columns = [trimmed(end) for end in ends if named(end)]
    if not columns:
        return
    found = pc.index_in(pa.chunked_array(columns), value_set=ids, skip_nulls=True).combine_chunks()
    start = 0
    for column in columns:
        yield found.slice(start, len(column))
        start += len(column)


def named(end: object) -> bool:
    """Whether an end holds names instead of positions."""
    return not isinstance(end, np.ndarray)


def endpoints(
    table: EdgeTable,
    found: Iterator[pa.Int32Array],
    records: NodeColumns,
    place: NDArray[np.int32],
    log: RepairLog,
) -> NDArray[np.int32]:
    """int32 [2, e] of node indices, UNKNOWN or LEFT_OUT.

    Args:
        found: see `first_found`; this table's results are next.
    """
    pairs = np.empty((2, len(table)), np.int32)
    for end, column in enumerate((table.sources, table.targets)):
        if isinstance(column, np.ndarray):
            known = (column >= 0) & (column < len(records))
            record = np.where(known, column, 0)
        else:
            rows = find_records(table, trimmed(column), next(found), records, log)
            record = pc.fill_null(rows, -1).to_numpy(zero_copy_only=False)
            known = record >= 0
        pairs[end] = place[record]
        pairs[end, ~known] = UNKNOWN
    return pairs


def find_records(
    table: EdgeTable,
    column: pa.LargeStringArray,
    found: pa.Int32Array,
    records: NodeColumns,
    log: RepairLog,
) -> pa.Int32Array:
    """int32 [e]: the record of each id, null if there is none; 3.0 may stand for 3.

    Args:
        found: the same without that rule.
    """
    if not found.null_count:
        return found
    floats = pc.and_(found.is_null(), pc.match_substring_regex(column, WHOLE_FLOAT))
    if not pc.any(floats).as_py():
        return found
    found = pc.coalesce(found, pc.index_in(as_integers(column), value_set=records.ids))
    known = pc.and_(floats, found.is_valid()).to_numpy(zero_copy_only=False).astype(bool)
    if known.any():
        log.add("whole_float_ids", int(known.sum()), at(table, np.argmax(known)))
    return found


def at(table: EdgeTable, row: int | np.integer) -> str:
    return table.source.at(int(table.places[row]))


def unknown_endpoint(
    table: EdgeTable,
    pair: NDArray[np.int32],
    row: int,
    unknown: NDArray[np.bool_],
    records: NodeColumns,
) -> str:
    """The message for an edge with an unknown end, and for the number of such edges.

    Args:
        row: of the edge.
        unknown: bool [e], the edges with such an end.
    """
    side, column = (
        ("source", table.sources) if pair[0, row] == UNKNOWN else ("target", table.targets)
    )
    value = column[row]
    value = value.as_py() if isinstance(value, pa.Scalar) else int(value)
    count = int(unknown.sum())
    others = f" (and {count - 1:,} more edges)" if count > 1 else ""
    end = f"{at(table, row)}: the edge's {side}"
    if value is None or not str(value).strip():
        return f"{end} is empty{others}; fill it in, or drop such edges with --skip-unknown"
    if isinstance(value, int):
        return (
            f"{end} {value} is no node{others}; there are {len(records):,}, from 0; add the node, "
            "or drop such edges with --skip-unknown"
        )
    end = f"{end} {value!r:.100} is no node's id{others}"
    columns = table.reading.used.get(side, ())
    if problem := rounding_problem(value, columns, records) or date_problem(
        value, columns, records
    ):
        return f"{end}{problem}: {ADVICE}"
    if like := written_otherwise(value, records.ids):
        return f"{end}, {like}; write both in the same way"
    if table.of_nodes and (example := first_match(records.ids, SPLITTING)) is not None:
        return (
            f"{end}; a list of neighbours is split at blanks and at ; , and |, which ids such as "
            f'{example!r:.100} contain: write it as a list of strings, ["a b", "c"]'
        )
    advice = "add the node, or drop such edges with --skip-unknown"
    if (row, count, table.reading.named) == (0, 1, False) and (pair[:, 0] == UNKNOWN).all():
        advice += ", or, if the line names the columns, say so with --header"
    return f"{end}; {advice}" + (other_ids(records) if unknown.all() else "")


def first_match(ids: pa.LargeStringArray, pattern: str) -> str | None:
    """The first of the ids in which a pattern is found."""
    mask = pc.match_substring_regex(ids, pattern)
    place = pc.index(mask, pa.scalar(True)).as_py()
    return None if place < 0 else str(ids[place].as_py())


def written_otherwise(value: str, ids: pa.LargeStringArray) -> str:
    """The node that an unknown id probably means, in words; "" if there is none."""
    if (known := look_alike(value, ids)) is not None:
        apart = "they differ only in case, blanks, the coding of accents, or invisible characters"
        return f"though {known!r} is, and {apart}"
    if (known := same_number(value, ids)) is not None:
        return f"though {known!r} is, which is the same number"
    if (known := grouped_alike(value, ids)) is not None:
        return f"though {known!r} is, which is the same number with its thousands set apart"
    return ""


def rounding_problem(value: str, columns: Sequence[str], records: NodeColumns) -> str:
    """What a spreadsheet has rounded if an unknown id, or the nodes' own, look so; or ""."""
    where = f" of column {columns[0]!r}" if columns else ""
    if is_shortened(value):
        return f"; it is a number{where} that a spreadsheet has rounded"
    if (known := rounded_from(value, records.ids)) is not None:
        return (
            f", though {known!r} is, and a spreadsheet may have rounded the number{where}, as it "
            "keeps fifteen digits"
        )
    if number_of(value) is None:
        return ""
    mask = rounded(records.ids)
    if not mask.any():
        return ""
    first = int(np.argmax(mask))
    return (
        f", and nodes' ids, such as {records.ids[first].as_py()!r} ({records.id_at(first)}), are "
        "numbers that a spreadsheet has rounded"
    )


def date_problem(value: str, columns: Sequence[str], records: NodeColumns) -> str:
    """What a spreadsheet has made a date of if an unknown id, or the nodes' own, look so; or ""."""
    count, first = first_dated(records.ids)
    if is_dated(value) and not count:
        where = f" in column {columns[0]!r}" if columns else ""
        return f"; it is a date{where}, perhaps a spreadsheet's, which was no date before"
    if count and could_be_dated(value):
        return (
            f", and nodes' ids, such as {records.ids[first].as_py()!r} ({records.id_at(first)}), "
            "are dates, perhaps a spreadsheet's, which were no dates before"
        )
    return ""


def other_ids(records: NodeColumns) -> str:
    """The hint if no edge of a file joins two nodes: another column may hold the ids."""
    columns = dict.fromkeys(n for table in records.tables for n in table.reading.used.get("id", ()))
    example = repr(records.ids[0].as_py())
    if not columns:
        return f"; no edge joins two nodes, whose ids look like {example}"
    return (
        f"; no edge of the file joins two nodes, whose ids look like {example} from column "
        f"{', '.join(columns)}: perhaps another column holds the ids (--id-field)"
    )


def log_repeats(
    tables: Sequence[EdgeTable],
    rows: Sequence[NDArray[np.int64]],
    pairs: NDArray[np.int32],
    num_nodes: int,
    log: RepairLog,
) -> None:
    """Counts self-loops, repeated edges, and edges that only repeat in the other direction.

    Shapes:
        rows: int64, for each table its edges that are in `pairs`
        pairs: int32 [e, 2]
    """
    starts = np.cumsum([0, *(len(row) for row in rows)])

    def place(index: int) -> str:
        table = int(np.searchsorted(starts, index, side="right")) - 1
        return at(tables[table], rows[table][index - starts[table]])

    def note(kind: str, rows: NDArray[np.int64]) -> None:
        if len(rows):
            log.add(kind, len(rows), place(int(rows[0])))

    loops = pairs[:, 0] == pairs[:, 1]
    real = np.flatnonzero(~loops)
    again = repeats(pairs[real, 0] * np.int64(num_nodes) + pairs[real, 1])
    once = real[~again]
    low, high = pairs[once].min(axis=1).astype(np.int64), pairs[once].max(axis=1)
    note("self_loops", np.flatnonzero(loops))
    note("duplicate_edges", real[again])
    note("reversed_edges", once[repeats(low * num_nodes + high)])


def repeats(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool: whether a key has occurred before."""
    seen = np.ones(len(keys), dtype=bool)
    seen[np.unique(keys, return_index=True)[1]] = False
    return seen
