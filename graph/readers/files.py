"""A graph from node and edge files."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from graph.builder import Built, Rules, build_graph
from graph.progress import Progress, silent
from graph.readers.fields import EdgeFields, NodeFields
from graph.readers.tables import read_edges, read_nodes
from graph.split_names import read_named_split


def import_graph(
    node_files: Sequence[Path],
    edge_files: Sequence[Path],
    node_fields: NodeFields,
    edge_fields: EdgeFields,
    rules: Rules,
    named_split: tuple[Path | None, str | None] = (None, None),
    progress: Progress = silent,
) -> Built:
    """Reads node and edge files and builds their graph.

    Args:
        named_split: a JSON file of splits and the name of one, in place of the nodes' own column.

    Raises:
        SourceError: a file cannot be read.
        BadInputError: a record is bad and `rules` does not repair it.
    """
    nodes = [read_nodes(path, node_fields, progress) for path in node_files]
    edges = [read_edges(path, edge_fields, progress) for path in edge_files]
    path, split_name = named_split
    members = None
    if path is not None:
        ids = pa.concat_arrays([table.ids for table in nodes])
        members = read_named_split(path, split_name, ids)
    files = ", ".join(str(path) for path in (*node_files, *edge_files))
    return build_graph(nodes, edges, name="", source=files, rules=rules, members=members)
