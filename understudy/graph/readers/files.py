"""Reads a graph from node and edge files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from understudy.graph.building.builder import Built, GivenSplit, Rules, build_graph
from understudy.graph.building.records import EdgeTable, NodeTable
from understudy.graph.errors import BadInputError
from understudy.graph.readers.beginnings import check_beginnings
from understudy.graph.readers.columns import with_hints
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.finding import NOT_READ, is_edge_header
from understudy.graph.readers.formats import (
    BY_LINES,
    EDGE_LISTS,
    READERS,
    FileOptions,
    Files,
    Kind,
    parts_of,
    suffix_of,
)
from understudy.graph.readers.packed import check_opens
from understudy.graph.readers.split_files import found_members, read_members
from understudy.graph.readers.tables import read_edges, read_nodes
from understudy.graph.text_graph import string_array
from understudy.progress import Progress, silent


@dataclass(frozen=True)
class SplitFile:
    """A split in a separate file, which replaces the nodes' own column."""

    path: Path | None = None
    name: str | None = None  # which of several
    by: str = "auto"  # the meaning of its members, see graph.split_names


def import_graph(
    node_files: Sequence[Path],
    edge_files: Sequence[Path],
    node_fields: NodeFields,
    edge_fields: EdgeFields,
    rules: Rules,
    split: SplitFile | None = None,
    progress: Progress = silent,
    options: FileOptions | None = None,
) -> Built:
    """Reads node and edge files and builds their graph.

    Without edge files, edges come from the node files: a graph's own, or those in a column of
    neighbours. Missing files, and faults in the first lines, are reported before any file is read
    in full.

    Raises:
        SourceError: a file cannot be read.
        BadInputError: a record is bad and `rules` does not repair it.
    """
    options, split = options or FileOptions(), split or SplitFile()
    if rules.missing_text != "fail":
        node_fields = replace(node_fields, text_needed=False)
    members = None if split.path is None else read_members(split.path, split.name)
    if members is not None:  # the file replaces the nodes' own column
        node_fields = replace(node_fields, split=NOT_READ)
    nodes, edges = read_tables(
        node_files, edge_files, node_fields, edge_fields, Files(options, progress)
    )
    if not options.header:
        check_headers(edges, nodes)
    edges += [table.neighbors for table in nodes if table.neighbors is not None]
    given_split = None
    if split.path is not None and members is not None:
        ids = pa.concat_arrays([table.ids for table in nodes])
        named = found_members(split.path, split.name, members, ids, split.by)
        given_split = GivenSplit(named.members, named.origin)
    sources = ", ".join(map(str, dict.fromkeys((*node_files, *edge_files))))
    built = build_graph(
        nodes, edges, name="", source=sources, rules=rules, given=given_split, progress=progress
    )
    return with_hints(built, nodes, node_fields)


def read_tables(
    node_files: Sequence[Path],
    edge_files: Sequence[Path],
    node_fields: NodeFields,
    edge_fields: EdgeFields,
    files: Files,
) -> tuple[list[NodeTable], list[EdgeTable]]:
    """The records of all files; each file is inspected before any is read.

    Raises:
        SourceError: a file cannot be read.
        BadInputError: one is damaged, or lacks a column.
    """
    parts, edge_parts = check_files(node_files, "nodes"), check_files(edge_files, "edges")
    if edge_files and not node_fields.neighbors:
        node_fields = replace(node_fields, neighbors=NOT_READ)
    check_beginnings(parts, edge_parts, node_fields, edge_fields, files)
    with_edges = [path for path in parts if path not in edge_files and files.holds_edges(path)]
    graphs = [] if edge_files else with_edges
    if graphs and not node_fields.neighbors:
        node_fields = replace(node_fields, neighbors=NOT_READ)
    nodes = read_nodes(node_files, node_fields, files)
    if edge_files:
        nodes = [without_own_edges(table, with_edges) for table in nodes]
    edges = [
        table for path in (*edge_files, *graphs) for table in read_edges(path, edge_fields, files)
    ]
    return nodes, edges


def check_files(paths: Sequence[Path], kind: Kind) -> list[Path]:
    """All files of that kind, with folders expanded. Checks that each can be opened, except those
    of a registered reader, which need not be files.

    Raises:
        SourceError: one cannot, or is of no known format.
    """
    parts = [part for path in paths for part in parts_of(path, kind)]
    for part in parts:
        if suffix_of(part, kind) not in READERS:
            check_opens(part)
    return parts


def without_own_edges(table: NodeTable, graphs: Sequence[Path]) -> NodeTable:
    """Adds a remark to records of a graph file whose own edges are replaced by other edges."""
    if Path(table.source.file) not in graphs:
        return table
    remarks = (*table.reading.remarks, "its own edges are ignored, since --edges is given")
    return replace(table, reading=replace(table.reading, remarks=remarks))


def check_headers(edges: Sequence[EdgeTable], nodes: Sequence[NodeTable]) -> None:
    """Refuses an edge file whose first line seems to be an edge.

    Raises:
        BadInputError: what should be column names are the ids of two nodes.
    """
    suspects: dict[str, list[str]] = {}  # file → its first line's names for the ends of an edge
    for table in edges:
        suffix = suffix_of(Path(table.source.file), "edges")
        names = [*table.reading.used.get("source", ()), *table.reading.used.get("target", ())]
        if not (names and table.reading.named and suffix in BY_LINES):
            continue
        # In a plain list, whose first line is usually an edge, the usual names may also be ids; so
        # they may if there is no other line.
        if suffix in EDGE_LISTS or not (len(table) and is_edge_header(names)):
            suspects[table.source.file] = names
    if not suspects:
        return
    ids = pc.utf8_trim_whitespace(pa.concat_arrays([table.ids for table in nodes]))
    words = string_array(dict.fromkeys(name for names in suspects.values() for name in names))
    known = set(words.filter(pc.is_in(words, value_set=ids)).to_pylist())  # hashes ids once
    for file, names in suspects.items():
        if known.issuperset(names):
            edge = "with --no-header it is an edge"
            if is_edge_header(names):
                edge = (
                    "if it is an edge, write a line before it that names both (source and target)"
                )
            raise BadInputError(
                f"{file}: the first line names two nodes ({', '.join(names)}): {edge}, with "
                "--header it names the columns"
            )
