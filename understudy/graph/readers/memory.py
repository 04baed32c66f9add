"""Graphs from data in memory: arrays, tables, NetworkX graphs, PyG data objects.

Everything passes through the readers and the builder for files, so that values mean the same
whatever their source. Repairs and remarks are logged as warnings, as are a split that was drawn
here, and columns that were found by name.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building import cells
from understudy.graph.building.builder import Built, GivenSplit, Rules, build_graph, checked_rules
from understudy.graph.building.cells import CellError
from understudy.graph.building.reading import Reading
from understudy.graph.building.records import (
    EdgeTable,
    NodeTable,
    Source,
    null_strings,
    optional_strings,
)
from understudy.graph.building.repairs import RepairLog
from understudy.graph.building.split_names import SPLIT_SYNONYMS
from understudy.graph.errors import BadInputError
from understudy.graph.names import check_name
from understudy.graph.readers.arrays import array_of, shape_of
from understudy.graph.readers.arrow_columns import edge_records, node_records
from understudy.graph.readers.class_names import has_numbers_for_rows
from understudy.graph.readers.columns import with_class_names, with_hints
from understudy.graph.readers.fields import EdgeFields, NodeFields, check_named_columns
from understudy.graph.readers.finding import NOT_READ
from understudy.graph.readers.formats import Rows
from understudy.graph.readers.masks import FoundSplit, find_split
from understudy.graph.readers.memory_tables import arrow_columns, plain
from understudy.graph.readers.networkx_files import edge_rows, node_rows
from understudy.graph.readers.pandas_index import check_same_index
from understudy.graph.readers.pyg import PygKeys, built_of
from understudy.graph.readers.pyg_values import (
    Attributes,
    each_of,
    find_ids,
    find_labels,
    find_texts,
)
from understudy.graph.readers.python_words import in_python, told_in_python
from understudy.graph.readers.tables import read_edge_rows, read_node_rows
from understudy.graph.readers.torch_files import graph_values
from understudy.graph.text_graph import TextGraph

logger = logging.getLogger("understudy.graph")

ARRAYS = Path("arrays")  # name of the source in messages
PYG = Path("data")


def announced(built: Built, name: str) -> TextGraph:
    """Logs everything that an import would print; returns the graph."""
    graph = replace(built.graph, name=name)
    for remark in (*map(str, built.repairs), *built.remarks):
        logger.warning("%s: %s", name, in_python(remark))
    if built.random_split and graph.label_names:
        sizes = ", ".join(f"{part} {len(members):,}" for part, members in graph.splits.items())
        logger.warning("%s: split %s (%s)", name, graph.reading["split"], sizes)
    return graph


def tell_found(reading: Reading, given: Collection[str], name: str) -> None:
    """Logs the roles of columns, unless each was given or is named after its role."""
    known = {column.lower() for column in given}
    for role, columns in reading.used.items():
        if {column.lower() for column in columns} - known - {role}:
            logger.warning("%s: columns found by their names: %s", name, reading)
            return


@told_in_python
def graph_from_arrays(
    texts: Sequence[str | None],
    edges: Any,
    ids: Any,
    labels: Any,
    label_names: Any,
    splits: Mapping[str, Any] | None,
    groups: Any,
    name: str,
    rules: Rules | None,
) -> TextGraph:
    """See `Graph.from_arrays`."""
    check_name(name, "name")
    if labels is None and label_names is not None:
        raise BadInputError(
            f"{ARRAYS}: 'label_names' are the names of class numbers; give 'labels', too"
        )
    arrays = {"texts": texts, "ids": ids, "labels": labels, "edges": edges, "groups": groups}
    check_same_index({key: arrays[key] for key in ("texts", "ids", "labels", "groups")})
    values = {key: plain(value) for key, value in arrays.items()}
    values["label_names"] = named_classes(label_names)
    data = Attributes(ARRAYS, values, RepairLog())
    strings = find_texts(data, "texts")
    count = len(strings)
    names_key = NOT_READ if label_names is None else "label_names"
    nodes = NodeTable(
        Source(str(ARRAYS), "node"),
        np.arange(count, dtype=np.int64),
        ids=find_ids(data, count),
        texts=strings,
        labels=find_labels(data, "" if labels is None else "labels", names_key, count),
        splits=null_strings(count),
        groups=group_names(values["groups"], count),
    )
    pairs = edge_table(data, ids is not None)
    if ids is not None:
        check_ends_are_ids(data.array("edges"), pairs, nodes.ids)
    split = None if splits is None else named_split(splits, count)
    if ids is not None and splits is not None and may_be_ids(splits, nodes.ids):
        logger.warning(
            "%s: the numbers in 'splits' are read as positions of nodes, from 0, though each of "
            "them is the id of a node, too",
            name,
        )
    built = build_graph(
        [nodes],
        [pairs],
        name=name,
        source="arrays in memory",
        rules=rules,
        given=None if split is None else GivenSplit(split.members, "the splits that were given"),
        log=data.log,
    )
    return announced(built, name)


def named_classes(value: Any) -> Any:
    """Names of classes for `read_names`; a pandas column keeps its index."""
    return value if has_numbers_for_rows(value) else plain(value)


def edge_table(data: Attributes, named: bool) -> EdgeTable:
    """Pairs of ids, or of positions if the nodes were given no ids.

    Raises:
        BadInputError: they are not pairs.
    """
    pairs = data.array("edges")
    if pairs.dtype.kind == "O":  # pandas' type for strings
        pairs = array_of(ARRAYS, "edges", pairs.tolist())
    if named and pairs.dtype.kind == "O" and pairs.ndim == 2:  # UUIDs, numbers of any size
        pairs = ends_by_name(pairs)
    if not pairs.size:
        pairs = np.empty((0, 2), np.int64)
    wanted = "ids" if named else "positions of nodes"
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in ("iuU" if named else "iu"):
        advice = "; give its transpose" if pairs.ndim == 2 and len(pairs) == 2 else ""
        raise BadInputError(
            f"{ARRAYS}: 'edges' must be pairs of {wanted} [E, 2], not {shape_of(pairs)}{advice}"
        )
    columns: list[Any] = [np.ascontiguousarray(pairs[:, end]) for end in (0, 1)]
    if named:
        try:
            columns = [pa.array(column).cast(pa.large_string()) for column in columns]
        except UnicodeError as error:
            raise half_character(pairs) from error
    else:
        columns = [column.astype(np.int64) for column in columns]
    numbers = np.arange(len(pairs), dtype=np.int64)
    return EdgeTable(Source(str(ARRAYS), "edge"), numbers, *columns)


def check_ends_are_ids(given: NDArray[Any], table: EdgeTable, ids: pa.LargeStringArray) -> None:
    """Refuses edges between positions of nodes that have ids.

    Raises:
        BadInputError: every end is a position, and none is an id.
    """
    if given.dtype.kind not in "iu" or not given.size:
        return
    if given.min() < 0 or given.max() >= len(ids):
        return
    ends = pa.concat_arrays([table.sources, table.targets])
    if not pc.any(pc.is_in(ends, value_set=pc.utf8_trim_whitespace(ids))).as_py():
        raise BadInputError(
            f"{ARRAYS}: 'edges' must be pairs of ids, since there are 'ids', and none of their "
            f"ends is one: such as {given.flat[0]}, where ids look like {ids[0].as_py()!r}; if "
            "they are positions, give the ids at them: [(ids[a], ids[b]) for a, b in edges]"
        )


def half_character(pairs: NDArray[Any]) -> BadInputError:
    """The error for the first edge with an unpaired surrogate in an end."""
    for edge, pair in enumerate(pairs.tolist()):
        try:
            list(map(cells.name_of, pair))
        except CellError as error:
            return BadInputError(
                f"{ARRAYS} edge {edge}: an end must be {error}, found {pair!r:.60}"
            )
    raise AssertionError("no edge holds half a character")


def ends_by_name(pairs: NDArray[Any]) -> NDArray[Any]:
    """Pairs of objects as strings, read like node ids; unchanged if one is not a valid id."""
    try:
        names = [cells.name_of(end) for end in pairs.ravel().tolist()]
    except CellError:
        return pairs
    return array_of(ARRAYS, "edges", names).reshape(pairs.shape)


def group_names(values: Any, count: int) -> pa.LargeStringArray:
    """large_string [N], null for a node without a group.

    Raises:
        BadInputError: there is not one for each node.
    """
    if values is None:
        return null_strings(count)
    items = values.tolist() if hasattr(values, "tolist") else list(values)
    if len(items) != count:
        raise BadInputError(
            f"{ARRAYS}: 'groups' must be {count:,}, one for each text, it has {len(items):,}"
        )
    return optional_strings(each_of(ARRAYS, "groups", items, cells.name_of))


def named_split(splits: Mapping[str, Any], count: int) -> FoundSplit | None:
    """A split by the names of its parts, each as a mask or as positions.

    Raises:
        BadInputError: a name is no part of a split, or a part is something else.
    """
    if not isinstance(splits, Mapping) and not (  # a pandas table names its parts, too
        hasattr(splits, "columns") and hasattr(splits, "keys")
    ):
        raise BadInputError(
            f"{ARRAYS}: 'splits' must be a dict of train, val and test, each a mask of {count:,} "
            f"or positions, not {type(splits).__name__}"
        )
    for name in splits:
        if str(name).lower() not in SPLIT_SYNONYMS:
            raise BadInputError(f"{ARRAYS}: 'splits' has {name!r}; use train, val and test")
        if splits[name] is None:
            raise BadInputError(f"{ARRAYS}: 'splits' has None for {name!r}; leave it out")
    parts = {name: plain(part) for name, part in splits.items()}
    parts = {k: np.empty(0, np.int64) if is_empty(part) else part for k, part in parts.items()}
    return find_split(ARRAYS, {"splits": parts}, 0, count)


def may_be_ids(splits: Mapping[str, Any], ids: pa.LargeStringArray) -> bool:
    """Whether parts of a split are numbers that are all ids, but mostly of other nodes."""
    named = [plain(splits[name]) for name in splits]
    parts = [array_of(ARRAYS, "splits", part) for part in named if len(part)]
    if not parts or any(part.dtype.kind not in "iu" for part in parts):
        return False
    members = pa.array(np.concatenate([part.ravel() for part in parts]))
    names = members.cast(pa.large_string())
    known, others = pc.is_in(names, value_set=ids), pc.not_equal(ids.take(members), names)
    return bool(pc.all(known).as_py() and pc.any(others).as_py())


def is_empty(part: Any) -> bool:
    """Whether a part of a split has no member; False for a single number."""
    try:
        return len(part) == 0
    except TypeError:
        return False


@told_in_python
def graph_from_tables(
    nodes: Any,
    edges: Any,
    node_fields: NodeFields,
    edge_fields: EdgeFields,
    name: str,
    rules: Rules | None,
) -> TextGraph:
    """See `Graph.from_pandas`."""
    check_name(name, "name")
    rules = checked_rules(rules)
    node_fields = suited(node_fields, rules, edges is not None)
    node_table = checked(node_records(arrow_columns(nodes, "nodes"), node_fields), node_fields)
    tables = [] if edges is None else [edge_records(arrow_columns(edges, "edges"), edge_fields)]
    tell_found(node_table.reading, node_fields.named(), name)
    for table in tables:
        tell_found(table.reading, edge_fields.named(), name)
    if node_table.neighbors is not None:
        tables.append(node_table.neighbors)
    source = "tables in memory"
    built = build_graph([node_table], tables, name=name, source=source, rules=rules)
    return announced(with_hints(built, [node_table], node_fields), name)


def suited(fields: NodeFields, rules: Rules, has_edges: bool) -> NodeFields:
    """Sets whether a text is required, and whether a column of neighbours is searched."""
    fields = replace(fields, text_needed=rules.missing_text == "fail")
    return replace(fields, neighbors=NOT_READ) if has_edges and not fields.neighbors else fields


def checked(table: NodeTable, fields: NodeFields) -> NodeTable:
    """The table with its classes named; checks that every requested column was found.

    Raises:
        BadInputError: one was not.
    """
    used = {role: set(names) for role, names in table.reading.used.items()}
    check_named_columns(table.source.file, table.reading.columns(), fields, used)
    return with_class_names([table])[0]


@told_in_python
def graph_from_networkx(
    graph: Any, node_fields: NodeFields, name: str, rules: Rules | None
) -> TextGraph:
    """See `Graph.from_networkx`."""
    if not (hasattr(graph, "nodes") and hasattr(graph, "edges")):
        raise BadInputError(f"expected a NetworkX graph, found {type(graph).__name__}")
    check_name(name, "name")
    rules = checked_rules(rules)
    fields = suited(node_fields, rules, True)
    nodes = Rows(Source("nodes", "node"), node_rows(graph, ""), own=True)
    edges = Rows(Source("edges", "edge"), edge_rows(graph), own=True)
    node_table = checked(read_node_rows(nodes, fields), fields)
    tell_found(node_table.reading, ("id", *fields.named()), name)
    built = build_graph(
        [node_table],
        [read_edge_rows(edges, EdgeFields())],
        name=name,
        source="a NetworkX graph in memory",
        rules=rules,
    )
    return announced(with_hints(built, [node_table], fields), name)


@told_in_python
def graph_from_pyg(
    data: Any, texts: Sequence[str | None] | None, keys: PygKeys, name: str, rules: Rules | None
) -> TextGraph:
    """See `Graph.from_pyg`."""
    check_name(name, "name")
    values: dict[str, Any] = dict(graph_values(PYG, data))
    if texts is not None:
        values["texts"] = plain(texts)
        keys = replace(keys, text="texts")
    built = built_of(Attributes(PYG, values, RepairLog()), keys, checked_rules(rules))
    graph = replace(built.graph, source="a PyG object in memory")
    return announced(replace(built, graph=graph), name)
