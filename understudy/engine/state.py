"""The graph and its activations in memory, checked against the manifest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from understudy.bundle import Bundle, Manifest
from understudy.bundle.student import LOGITS_FILE, activation_file
from understudy.engine.arguments import listed
from understudy.engine.errors import BundleMismatchError, InvalidArgumentError
from understudy.engine.stale import StaleLogits
from understudy.graph.lineage import Lineage
from understudy.graph.mutable.versions import VersionedTable
from understudy.graph.mutable.view import GraphView
from understudy.graph.snapshot import FILES as SNAPSHOT_FILES
from understudy.graph.snapshot import load_snapshot
from understudy.graph.text_graph import TextGraph

GRAPH_FOLDER = "graph"


def owed_file(number: int) -> str:
    """Names a snapshot's file of what nodes owe in layer `number` + 1 (`Debts`), float32 [N]."""
    return f"activations/owed{number}.npy"


@dataclass(frozen=True, slots=True)
class Tables:
    """The activations and logits of every node, in all versions.

    Shapes:
        activations: for every layer float32 [rows, hidden], its input
        logits: float32 [rows, classes]
    """

    activations: tuple[VersionedTable, ...]
    logits: VersionedTable

    @property
    def layers(self) -> tuple[VersionedTable, ...]:
        """The tables of h0, h1 and so on; the last one holds the logits."""
        return (*self.activations, self.logits)


@dataclass(frozen=True, slots=True)
class GraphState:
    """One version of everything that answers depend on and that a change replaces.

    Safe to share between threads: later changes do not alter what is read through it.

    Attributes:
        stale: the stored logits that must be computed when read; None if all are up to date.
    """

    graph: GraphView
    tables: Tables
    stale: StaleLogits | None = None

    @property
    def version(self) -> int:
        """Number of batches of changes applied so far."""
        return self.graph.version.number

    def activations(self, layer: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Reads the input of layer `layer`, counted from 0, for some rows; float32 [B, hidden].

        Raises:
            IndexError: there is no such layer, or see `best_labels`.
            InvalidArgumentError: see `best_labels`.
        """
        self.check_rows(rows)
        if not 0 <= layer < len(self.tables.activations):
            raise IndexError(f"layer {layer} is not one of {len(self.tables.activations)}")
        return self.tables.activations[layer].take(self.graph.version, rows)

    def logits(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Reads the logits of stored nodes, float32 [B, classes]; stale ones are computed.

        Raises:
            IndexError, InvalidArgumentError: see `best_labels`.
            InferenceError: the networks gave no usable answer for a node with stale logits.
        """
        self.check_rows(rows)
        logits: NDArray[np.float32] = self.tables.logits.take(self.graph.version, rows)
        if self.stale is not None:
            self.stale.fill(self.graph, self.tables.activations[-1], rows, logits)
        return logits

    def rows(self, node_ids: Sequence[str]) -> NDArray[np.int64]:
        """Finds the rows of stored nodes, valid in this version only; int64 [B], -1 if unknown.

        Raises:
            InvalidArgumentError: `node_ids` is one string instead of a list.
        """
        return self.graph.row_array(listed("node_ids", node_ids, "ids"))

    def best_labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Finds the most probable labels of stored nodes, as indices of the manifest's labels.

        The fastest way to classify many stored nodes: one array look-up.

        Shapes:
            rows: int64 [B], from this version's `rows`
            returns: int64 [B]

        Raises:
            IndexError: a row is -1, or beyond the last one.
            InvalidArgumentError: `rows` is not an array of int64.
            InferenceError: see `logits`.
        """
        return np.asarray(self.logits(rows).argmax(axis=1))

    def check_rows(self, rows: NDArray[np.int64]) -> None:
        """Refuses rows that are not of this version; see `best_labels`."""
        if getattr(rows, "dtype", None) != np.int64:
            raise InvalidArgumentError("rows must be an array of int64, as `rows` gives it")
        # One pass checks both bounds: as an unsigned number, a negative row exceeds all others.
        if len(rows) and int(rows.view(np.uint64).max()) >= self.graph.num_rows:
            outside = (rows < 0) | (rows >= self.graph.num_rows)
            place = int(outside.argmax())
            raise IndexError(f"rows[{place}] is {rows[place]}, which is not a node of this version")


def open_graph(bundle: Bundle) -> TextGraph:
    """Maps a bundle's graph.

    Raises:
        BundleMismatchError: it differs from the manifest, or is damaged.
        GraphFormatError, BundleDamagedError: a file is missing or damaged.
    """
    for name in SNAPSHOT_FILES:
        bundle.path(f"{GRAPH_FOLDER}/{name}")  # refuses a file without a verified digest
    graph = load_snapshot(bundle.folder / GRAPH_FOLDER)
    check_graph(graph, bundle.manifest)
    info = bundle.manifest.graph
    return replace(graph, lineage=Lineage(info.lineage, info.position))


def has_activations(bundle: Bundle) -> bool:
    return LOGITS_FILE in bundle.manifest.files


def open_tables(bundle: Bundle) -> Tables:
    """Maps a bundle's activations copy-on-write.

    Raises:
        BundleMismatchError: a shape or type is wrong, or a value is NaN.
        BundleDamagedError: a file is missing or damaged.
    """
    manifest = bundle.manifest
    nodes, hidden = manifest.graph.nodes, manifest.student.hidden
    activations = tuple(
        VersionedTable(open_table(bundle, activation_file(number), (nodes, hidden)))
        for number in range(manifest.student.layers)
    )
    logits = open_table(bundle, LOGITS_FILE, (nodes, len(manifest.label_names)))
    if not np.isfinite(logits).all():
        raise BundleMismatchError(f"{LOGITS_FILE} holds values that are not finite")
    return Tables(activations, VersionedTable(logits))


def open_owed(bundle: Bundle) -> list[NDArray[np.float32]]:
    """Reads what nodes owe their neighbours, by layer (see `Debts`); zeros if not in a snapshot.

    Raises:
        BundleMismatchError: a shape or type is wrong, or a value is negative or NaN.
        BundleDamagedError: a file is missing or damaged.
    """
    nodes = bundle.manifest.graph.nodes
    result = []
    for name in map(owed_file, range(bundle.manifest.student.layers)):
        if name in bundle.manifest.files:
            result.append(open_table(bundle, name, (nodes,)))
            if not (np.isfinite(result[-1]) & (result[-1] >= 0)).all():
                raise BundleMismatchError(f"{name} holds invalid values")
        else:
            result.append(np.zeros(nodes, np.float32))
    return result


def open_table(bundle: Bundle, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Maps a float32 array of exactly that shape copy-on-write; the file stays unchanged."""
    array = bundle.array(name, private=True)
    if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
        raise BundleMismatchError(
            f"{name} is {array.dtype} {list(array.shape)}, but the manifest demands float32 "
            f"{list(shape)} in row order"
        )
    return np.asarray(array, dtype=np.float32)  # a plain view: indexing a memmap is slower


def check_graph(graph: TextGraph, manifest: Manifest) -> None:
    """Compares the graph with the manifest, and checks the bounds of its indices.

    Raises:
        BundleMismatchError: they differ, or an index is out of bounds.
    """
    nodes, adjacency = graph.num_nodes, graph.adjacency
    expected = (manifest.graph.nodes, manifest.graph.edges, manifest.label_names)
    # A snapshot's graph may have further labels after those of the model.
    known = graph.label_names[: len(manifest.label_names)]
    if (nodes, adjacency.num_edges, known) != expected:
        raise BundleMismatchError(
            f"the graph has {nodes:,} nodes, {adjacency.num_edges:,} edges and {graph.num_classes} "
            "labels, unlike the manifest"
        )
    emptied = nodes == 0 and not manifest.activations_of  # only a snapshot's may have been
    if emptied or manifest.student.layers < 1 or not manifest.label_names:
        raise BundleMismatchError("a bundle needs nodes, labels and at least one layer")
    indptr, indices = np.asarray(adjacency.indptr), np.asarray(adjacency.indices)
    rows_fit = len(indptr) == nodes + 1 and indptr[0] == 0 and indptr[-1] == len(indices)
    if not rows_fit or (np.diff(indptr) < 0).any():
        raise BundleMismatchError("the graph's row pointers do not fit its edges")
    if len(indices) and (indices.min() < 0 or indices.max() >= nodes):
        raise BundleMismatchError("an edge of the graph points outside it")
