"""The served form of a graph: arrays and strings that are memory-mapped instead of parsed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.graph.arrays import save_array
from understudy.graph.csr import Adjacency
from understudy.graph.errors import GraphFormatError
from understudy.graph.text_graph import TextGraph

NODES_FILE = "nodes.arrow"
INDPTR_FILE = "indptr.npy"
INDICES_FILE = "indices.npy"
DETAILS_FILE = "graph.json"
FILES = (NODES_FILE, INDPTR_FILE, INDICES_FILE, DETAILS_FILE)


def save_snapshot(graph: TextGraph, folder: Path) -> None:
    """Writes the graph into an existing folder."""
    split_of = np.full(graph.num_nodes, -1, dtype=np.int8)
    for index, members in enumerate(graph.splits.values()):
        split_of[members] = index
    columns: dict[str, Any] = {
        "id": graph.ids,
        "text": graph.texts,
        "label": graph.labels,
        "split": split_of,
    }
    if graph.groups is not None:
        columns["group"] = graph.groups
    table = pa.table(columns)
    with (
        pa.OSFile(str(folder / NODES_FILE), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as w,
    ):
        w.write_table(table, max_chunksize=max(graph.num_nodes, 1))
    save_array(folder / INDPTR_FILE, graph.adjacency.indptr)
    save_array(folder / INDICES_FILE, graph.adjacency.indices)
    details = {
        "name": graph.name,
        "source": graph.source,
        "label_names": list(graph.label_names),
        "split_names": list(graph.splits),
    }
    (folder / DETAILS_FILE).write_text(json.dumps(details, ensure_ascii=False), encoding="utf-8")


def load_snapshot(folder: Path) -> TextGraph:
    """Maps a snapshot into memory.

    Raises:
        GraphFormatError: a file is missing or damaged.
    """
    try:
        details = json.loads((folder / DETAILS_FILE).read_text(encoding="utf-8"))
        nodes = pa.ipc.open_file(pa.memory_map(str(folder / NODES_FILE))).read_all()
        adjacency = Adjacency(
            np.load(folder / INDPTR_FILE, mmap_mode="r", allow_pickle=False),
            np.load(folder / INDICES_FILE, mmap_mode="r", allow_pickle=False),
        )
        split_of = nodes["split"].to_numpy()
        return TextGraph(
            name=details["name"],
            ids=single(nodes["id"]),
            texts=single(nodes["text"]),
            labels=nodes["label"].to_numpy(),
            label_names=tuple(details["label_names"]),
            adjacency=adjacency,
            splits={n: np.flatnonzero(split_of == i) for i, n in enumerate(details["split_names"])},
            groups=nodes["group"].to_numpy() if "group" in nodes.column_names else None,
            source=details["source"],
        )
    except (OSError, EOFError, ValueError, KeyError, pa.ArrowException) as error:
        raise GraphFormatError(f"{folder} does not contain a complete graph: {error}") from error


def single(column: pa.ChunkedArray) -> pa.Array:
    """The column's only part, still mapped; a graph without nodes has none."""
    return column.chunk(0) if column.num_chunks else column.combine_chunks()
