"""The graph and its activations as they stand in memory, checked against the manifest."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bundle import Bundle, Manifest
from bundle.student import LOGITS_FILE, activation_file
from graph.csr import Adjacency
from graph.snapshot import load_snapshot
from graph.text_graph import TextGraph
from service.errors import BundleMismatchError

GRAPH_FOLDER = "graph"


@dataclass(frozen=True, slots=True)
class GraphState:
    """All that an answer depends on and a change of the graph replaces, as one.

    Shapes:
        activations: for every layer float32 [N, hidden], the table that it reads
        logits: float32 [N, classes]
    """

    version: int  # how many times the graph has changed
    graph: TextGraph
    index_of: Mapping[str, int]  # external id → row
    activations: tuple[NDArray[np.float32], ...]
    logits: NDArray[np.float32]

    @property
    def adjacency(self) -> Adjacency:
        return self.graph.adjacency


def open_state(bundle: Bundle) -> GraphState:
    """Maps a bundle's graph and arrays.

    Raises:
        BundleMismatchError: they do not belong together, or hold a NaN.
        GraphFormatError, BundleDamagedError: a file is missing or damaged.
    """
    manifest = bundle.manifest
    graph = load_snapshot(bundle.folder / GRAPH_FOLDER)
    check_graph(graph, manifest)
    nodes, hidden = manifest.graph.nodes, manifest.student.hidden
    activations = tuple(
        open_table(bundle, activation_file(number), (nodes, hidden))
        for number in range(manifest.student.layers)
    )
    logits = open_table(bundle, LOGITS_FILE, (nodes, len(manifest.label_names)))
    if not np.isfinite(logits).all():
        raise BundleMismatchError(f"{LOGITS_FILE} holds values that are not finite")
    return GraphState(0, graph, graph.index_of, activations, logits)


def open_table(bundle: Bundle, name: str, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A read-only float32 array of exactly that shape."""
    array = bundle.array(name)
    if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise BundleMismatchError(
            f"{name} is {array.dtype} {list(array.shape)}, "
            f"the manifest wants float32 {list(shape)} in rows"
        )
    return np.asarray(array, dtype=np.float32)  # a plain view: indexing a memmap is slower


def check_graph(graph: TextGraph, manifest: Manifest) -> None:
    """Compares the graph with the manifest, and its indices with its size.

    Raises:
        BundleMismatchError: they differ, or an index points outside.
    """
    nodes, adjacency = graph.num_nodes, graph.adjacency
    expected = (manifest.graph.nodes, manifest.graph.edges, manifest.label_names)
    if (nodes, adjacency.num_edges, graph.label_names) != expected:
        raise BundleMismatchError(
            f"the graph has {nodes:,} nodes, {adjacency.num_edges:,} edges and "
            f"{graph.num_classes} labels, and not those of the manifest"
        )
    if nodes == 0 or manifest.student.layers < 1 or not manifest.label_names:
        raise BundleMismatchError("a bundle needs nodes, labels and at least one layer")
    if len(graph.index_of) != nodes:
        raise BundleMismatchError("two nodes of the graph have the same id")
    indptr, indices = np.asarray(adjacency.indptr), np.asarray(adjacency.indices)
    rows_fit = len(indptr) == nodes + 1 and indptr[0] == 0 and indptr[-1] == len(indices)
    if not rows_fit or (np.diff(indptr) < 0).any():
        raise BundleMismatchError("the graph's row pointers do not fit its edges")
    if len(indices) and (indices.min() < 0 or indices.max() >= nodes):
        raise BundleMismatchError("an edge of the graph points outside it")
