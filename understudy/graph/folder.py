"""A graph on disk: nodes.parquet, edges.parquet and meta.json with the content hash."""

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from understudy.folders import atomic_folder, unchanged
from understudy.folders.names import character_problem
from understudy.folders.places import path_problem
from understudy.graph.csr import build_adjacency
from understudy.graph.errors import BadInputError, GraphFormatError, SourceError
from understudy.graph.files import write_json
from understudy.graph.lineage import Lineage, lineage_of, lineage_value, parse_lineage
from understudy.graph.names import check_name
from understudy.graph.settled import settled
from understudy.graph.text_graph import TextGraph, string_array
from understudy.plain_arguments import plain_arguments

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
NO_SPLIT = "none"
REMEDY = "restore the folder, or move it away and make the graph again from its source"


class Format(msgspec.Struct):
    """The fields of meta.json in every format."""

    format_version: int


class Meta(Format):
    """The fields of meta.json that this format reads."""

    name: str
    source: str
    nodes: int
    edges: int
    label_names: list[str]
    splits: dict[str, int]
    notes: dict[str, Any]
    content_hash: str
    reading: dict[str, Any] = msgspec.field(default_factory=dict)  # missing in older graphs


@plain_arguments(BadInputError)
def save_graph(graph: TextGraph, folder: Path | str) -> None:
    """Writes `graph` to `folder`, replacing what is there once the new one is complete.

    Raises:
        BadInputError: the graph's name is not allowed, or one of its fields does not fit the others
            (see `understudy.graph.settled`).
    """
    if not isinstance(graph, TextGraph):
        raise BadInputError(f"graph must be a Graph, not {type(graph).__name__}")
    check_name(graph.name, "the graph's name")
    graph = settled(graph)
    split_names = [*graph.splits, NO_SPLIT]
    split_of = np.full(graph.num_nodes, len(split_names) - 1, dtype=np.int32)
    for index, members in enumerate(graph.splits.values()):
        split_of[members] = index
    columns: dict[str, Any] = {
        "id": graph.ids,
        "text": graph.texts,
        "label": pa.array(graph.labels, pa.int64()),
        "split": pa.DictionaryArray.from_arrays(split_of, pa.array(split_names)),
    }
    if graph.groups is not None:
        columns["group"] = pa.array(graph.groups, pa.int64())
    edges = graph.adjacency.edges()
    meta = {
        "format_version": FORMAT_VERSION,
        "name": graph.name,
        "source": graph.source,
        "nodes": graph.num_nodes,
        "edges": len(edges),
        "label_names": list(graph.label_names),
        "splits": {name: len(members) for name, members in graph.splits.items()},
        "notes": dict(graph.notes),
        "reading": dict(graph.reading),
        "content_hash": graph.content_hash,
        "lineage": lineage_value(lineage_of(graph)),
    }
    with atomic_folder(Path(folder)) as temporary:
        pq.write_table(pa.table(columns), temporary / "nodes.parquet", compression="zstd")
        table = pa.table({"source": edges[:, 0], "target": edges[:, 1]})
        pq.write_table(table, temporary / "edges.parquet", compression="zstd")
        write_json(temporary / "meta.json", meta)


def read_meta(folder: Path) -> dict[str, Any]:
    """Reads the graph's meta.json.

    Raises:
        SourceError: there is no graph folder.
        GraphFormatError: it is foreign, damaged, or of a newer format.
    """
    path = folder / "meta.json"
    if not path.is_file():
        problem = path_problem(folder) or (
            f"{folder} is not a graph folder (no meta.json); make one with `understudy data "
            "import`, `data debian` or `data synthetic`"
        )
        raise SourceError(problem)
    try:
        meta: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = msgspec.convert(meta, Format).format_version
        if version <= FORMAT_VERSION:
            msgspec.convert(meta, Meta)
    except PermissionError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise GraphFormatError(f"{path} is damaged: {error}; {REMEDY}") from error
    if version > FORMAT_VERSION:
        raise GraphFormatError(
            f"{folder} has graph format {version}, but this release reads only up to "
            f"{FORMAT_VERSION}; update understudy"
        )
    if unusable := character_problem(meta["name"]):
        raise GraphFormatError(f"{path}: the graph's name {unusable}; change it there")
    return meta


@plain_arguments(SourceError)
def load_graph(folder: Path | str) -> TextGraph:
    """Reads a graph folder and verifies its content hash.

    Raises:
        SourceError: there is no graph folder, or it may not be read.
        GraphFormatError: damaged, changed since it was written, or of a newer format.
        FolderChangedError: it was replaced while it was read.
    """
    with unchanged(Path(folder)):
        return loaded(Path(folder))


def loaded(folder: Path) -> TextGraph:
    """Does the work of `load_graph`, for a folder that is not replaced meanwhile."""
    meta = read_meta(folder)
    try:
        nodes, edges = (read_table(folder / f"{name}.parquet") for name in ("nodes", "edges"))
        graph = assemble(meta, nodes, edges)
        del nodes, edges
        pa.default_memory_pool().release_unused()  # otherwise the pool keeps as much as the graph
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise GraphFormatError(f"{folder} is damaged: {error}; {REMEDY}") from error
    if graph.content_hash != meta["content_hash"]:
        raise GraphFormatError(
            f"{folder} was changed since it was written: its content hash is "
            f"{graph.content_hash[:12]}, but meta.json says {str(meta['content_hash'])[:12]}; "
            f"{REMEDY}"
        )
    if "lineage" not in meta:
        logger.info(
            "%s is of an older release: its lineage is %s, after its content",
            folder,
            graph.content_hash[:12],
        )
    return graph


def read_table(path: Path) -> pa.Table:
    """Reads a table of a folder.

    Raises:
        SourceError: it may not be read.
        GraphFormatError: it is missing or damaged.
    """
    try:
        return pq.read_table(path)
    except PermissionError as error:  # Arrow's own message lacks the name
        raise SourceError(f"{path}: {os.strerror(errno.EACCES)}") from error
    except FileNotFoundError as error:
        raise GraphFormatError(
            f"{path.parent} is damaged: {path.name} is missing; {REMEDY}"
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise GraphFormatError(f"{path} is damaged: {error}; {REMEDY}") from error


def assemble(meta: dict[str, Any], nodes: pa.Table, edges: pa.Table) -> TextGraph:
    pairs = np.stack([edges[name].to_numpy() for name in ("source", "target")]).T
    split_of, split_names = decode_splits(nodes["split"])
    return TextGraph(
        name=meta["name"],
        ids=flat_strings(nodes["id"]),
        texts=flat_strings(nodes["text"]),
        labels=nodes["label"].to_numpy().astype(np.int64),
        label_names=tuple(meta["label_names"]),
        adjacency=build_adjacency(len(nodes), pairs)[0],
        splits={
            name: np.flatnonzero(split_of == split_names.index(name))
            if name in split_names
            else np.empty(0, np.int64)
            for name in meta["splits"]
        },
        groups=nodes["group"].to_numpy() if "group" in nodes.column_names else None,
        source=meta["source"],
        notes=meta["notes"],
        reading=meta.get("reading", {}),
        lineage=parse_lineage(meta["lineage"])
        if "lineage" in meta
        else Lineage(str(meta["content_hash"])),
    )


def flat_strings(column: pa.ChunkedArray) -> pa.LargeStringArray:
    chunks = column.cast(pa.large_string()).chunks
    if len(chunks) == 1:
        return chunks[0]
    return pa.concat_arrays(chunks) if chunks else string_array([])


def decode_splits(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """int64 [N] of indices into the list of names, and that list."""
    encoded = pa.chunked_array(column.cast(pa.string()).dictionary_encode().unify_dictionaries())
    if not encoded.num_chunks:
        return np.empty(0, np.int64), []
    names: list[str] = encoded.chunk(0).dictionary.to_pylist()
    return np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks]), names
