"""A graph from node and edge files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from understudy.graph.builder import Built, GivenSplit, Rules, build_graph
from understudy.graph.errors import BadInputError
from understudy.graph.progress import Progress, silent
from understudy.graph.readers.fields import NOT_READ, EdgeFields, NodeFields, is_edge_header
from understudy.graph.readers.formats import FileOptions, holds_edges
from understudy.graph.readers.tables import read_edges, read_nodes
from understudy.graph.records import EdgeTable, NodeTable
from understudy.graph.split_names import read_named_split
from understudy.graph.text_graph import string_array


@dataclass(frozen=True)
class SplitFile:
    """A split in a file of its own, in place of the nodes' own column."""

    path: Path | None = None
    name: str | None = None  # which of several
    by: str = "auto"  # what its members are, see graph.split_names


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

    Without edge files, the edges are those that the node files hold: a graph's own, or those of
    a column of neighbours.

    Raises:
        SourceError: a file cannot be read.
        BadInputError: a record is bad and `rules` does not repair it.
    """
    options, split = options or FileOptions(), split or SplitFile()
    if rules.missing_text != "fail":
        node_fields = replace(node_fields, text_needed=False)
    own = [path for path in node_files if path not in edge_files and holds_edges(path)]
    graphs = [] if edge_files else own
    if node_fields.neighbors == "" and (edge_files or graphs):
        node_fields = replace(node_fields, neighbors=NOT_READ)
    nodes = read_nodes(node_files, node_fields, options, progress)
    if edge_files:
        nodes = [told_without_edges(table, own) for table in nodes]
    edges = [
        table
        for path in (*edge_files, *graphs)
        for table in read_edges(path, edge_fields, options, progress)
    ]
    if options.header is None:
        check_headers(edges, nodes)
    edges += [table.neighbors for table in nodes if table.neighbors is not None]
    given = None
    if split.path is not None:
        ids = pa.concat_arrays([table.ids for table in nodes])
        named = read_named_split(split.path, split.name, ids, split.by)
        given = GivenSplit(named.members, named.origin)
    files = ", ".join(map(str, dict.fromkeys((*node_files, *edge_files))))
    return build_graph(
        nodes, edges, name="", source=files, rules=rules, given=given, progress=progress
    )


def told_without_edges(table: NodeTable, graphs: Sequence[Path]) -> NodeTable:
    """The records; those of a graph file say that other edges take the place of its own."""
    if Path(table.source.file) not in graphs:
        return table
    told = (*table.reading.remarks, "its own edges are not read, since --edges names others")
    return replace(table, reading=replace(table.reading, remarks=told))


def check_headers(edges: Sequence[EdgeTable], nodes: Sequence[NodeTable]) -> None:
    """Refuses an edge file whose first line seems to be an edge.

    Raises:
        BadInputError: what should be the names of its columns are the ids of two nodes.
    """
    ids = pc.utf8_trim_whitespace(pa.concat_arrays([table.ids for table in nodes]))
    for table in edges:
        names = [*table.reading.used.get("source", ()), *table.reading.used.get("target", ())]
        if not table.reading.named or is_edge_header(names):
            continue
        if names and pc.all(pc.is_in(string_array(names), value_set=ids)).as_py():
            raise BadInputError(
                f"{table.source.file}: the first line names two nodes ({', '.join(names)}): with "
                "--no-header it is an edge, with --header it names the columns"
            )
