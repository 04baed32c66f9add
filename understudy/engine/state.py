"""The graph and its activations as they stand in memory, checked against the manifest."""

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
from understudy.graph.mutable.view import REMOVED, GraphView
from understudy.graph.snapshot import FILES as SNAPSHOT_FILES
from understudy.graph.snapshot import load_snapshot
from understudy.graph.text_graph import TextGraph

GRAPH_FOLDER = "graph"
PROBE_DEGREE = 4  # of the node that is probed
PROBE_CANDIDATES = 1_024  # rows among which the node to probe is looked for


def owed_file(number: int) -> str:
    """Of a snapshot: what every node owes its neighbours in layer `number` + 1, float32 [N]."""
    return f"activations/owed{number}.npy"


@dataclass(frozen=True, slots=True)
class Tables:
    """What the engine keeps of every node, all versions in one.

    Shapes:
        activations: for every layer float32 [rows, hidden], the table that it reads
        logits: float32 [rows, classes]
    """

    activations: tuple[VersionedTable, ...]
    logits: VersionedTable

    @property
    def layers(self) -> tuple[VersionedTable, ...]:
        """Of h0, h1 and so on; the last one holds the logits."""
        return (*self.activations, self.logits)


@dataclass(frozen=True, slots=True)
class GraphState:
    """All that an answer depends on and a change of the graph replaces, as one version.

    Safe to share between threads; nothing read through it changes, whatever is written meanwhile.

    Attributes:
        stale: which of the stored logits are computed when they are asked for; None: none are.
    """

    graph: GraphView
    tables: Tables
    stale: StaleLogits | None = None

    @property
    def version(self) -> int:
        """How many batches of changes led here."""
        return self.graph.version.number

    def activations(self, layer: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """What layer `layer`, counted from 0, reads of some nodes; float32 [B, hidden]."""
        return self.tables.activations[layer].take(self.graph.version, rows)

    def logits(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [B, classes], of stored nodes.

        Raises:
            InferenceError: the networks gave no usable answer for one that is not stored yet.
        """
        logits: NDArray[np.float32] = self.tables.logits.take(self.graph.version, rows)
        if self.stale is not None:
            self.stale.fill(self.graph, self.tables.activations[-1], rows, logits)
        return logits

    def rows(self, node_ids: Sequence[str]) -> NDArray[np.int64]:
        """Where stored nodes are in this version, and in no other; int64 [B], -1 for no node.

        Raises:
            InvalidArgumentError: the ids are one text.
        """
        return self.graph.row_array(listed("node_ids", node_ids, "ids"))

    def best_labels(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The most probable labels of stored nodes, as positions in the manifest's label names.

        The fastest way to ask for many: one look-up and nothing else.

        Shapes:
            rows: int64 [B], as this version's `rows` gives them
            returns: int64 [B]

        Raises:
            IndexError: a row is -1, or beyond the last one.
            InvalidArgumentError: the rows are no array of int64.
            InferenceError: see `logits`.
        """
        if getattr(rows, "dtype", None) != np.int64:
            raise InvalidArgumentError("rows must be an array of int64, as `rows` gives it")
        # One pass for both ends: as an unsigned number, a negative one is larger than all.
        if len(rows) and int(rows.view(np.uint64).max()) >= self.graph.num_rows:
            outside = (rows < 0) | (rows >= self.graph.num_rows)
            place = int(outside.argmax())
            raise IndexError(f"rows[{place}] is {rows[place]}: no node of this version is there")
        return np.asarray(self.logits(rows).argmax(axis=1))


def open_graph(bundle: Bundle) -> TextGraph:
    """Maps a bundle's graph.

    Raises:
        BundleMismatchError: it is not the manifest's, or damaged.
        GraphFormatError, BundleDamagedError: a file is missing or damaged.
    """
    for name in SNAPSHOT_FILES:
        bundle.path(f"{GRAPH_FOLDER}/{name}")  # listed, or its digest was never compared
    graph = load_snapshot(bundle.folder / GRAPH_FOLDER)
    check_graph(graph, bundle.manifest)
    info = bundle.manifest.graph
    return replace(graph, lineage=Lineage(info.lineage, info.position))


def has_activations(bundle: Bundle) -> bool:
    return LOGITS_FILE in bundle.manifest.files


def open_tables(bundle: Bundle) -> Tables:
    """Maps a bundle's activations, each page private once it is written to.

    Raises:
        BundleMismatchError: a wrong shape or type, or a NaN.
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
    """What nodes owe their neighbours, see `Incremental`; nothing, where no snapshot says so.

    Raises:
        BundleMismatchError: a wrong shape or type, a negative value or a NaN.
        BundleDamagedError: a file is missing or damaged.
    """
    nodes = bundle.manifest.graph.nodes
    result = []
    for name in map(owed_file, range(bundle.manifest.student.layers)):
        if name in bundle.manifest.files:
            result.append(open_table(bundle, name, (nodes,)))
            if not (np.isfinite(result[-1]) & (result[-1] >= 0)).all():
                raise BundleMismatchError(f"{name} holds values that nobody can owe")
        else:
            result.append(np.zeros(nodes, np.float32))
    return result


def open_table(bundle: Bundle, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A float32 array of exactly that shape; writing to it leaves the file as it is."""
    array = bundle.array(name, private=True)
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
    # A snapshot's graph may know more labels than the model, behind those.
    known = graph.label_names[: len(manifest.label_names)]
    if (nodes, adjacency.num_edges, known) != expected:
        raise BundleMismatchError(
            f"the graph has {nodes:,} nodes, {adjacency.num_edges:,} edges and "
            f"{graph.num_classes} labels, and not those of the manifest"
        )
    if nodes == 0 or manifest.student.layers < 1 or not manifest.label_names:
        raise BundleMismatchError("a bundle needs nodes, labels and at least one layer")
    indptr, indices = np.asarray(adjacency.indptr), np.asarray(adjacency.indices)
    rows_fit = len(indptr) == nodes + 1 and indptr[0] == 0 and indptr[-1] == len(indices)
    if not rows_fit or (np.diff(indptr) < 0).any():
        raise BundleMismatchError("the graph's row pointers do not fit its edges")
    if len(indices) and (indices.min() < 0 or indices.max() >= nodes):
        raise BundleMismatchError("an edge of the graph points outside it")


def probe_row(state: GraphState) -> int | None:
    """A stored node of about PROBE_DEGREE neighbours, or None if there is no node nearby."""
    rows = np.arange(min(state.graph.num_rows, PROBE_CANDIDATES))
    nearest = np.argsort(np.abs(state.graph.degrees(rows) - PROBE_DEGREE), kind="stable")
    live = (row for row in nearest.tolist() if state.graph.record(row) is not REMOVED)
    return next(live, None)
