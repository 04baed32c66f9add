"""The text-attributed graph."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.counting import counted
from understudy.graph.constructors import FromMemory
from understudy.graph.csr import Adjacency
from understudy.graph.lineage import Lineage

UNLABELED = -1


@dataclass(frozen=True)
class TextGraph(FromMemory):
    """A graph whose nodes carry text and optionally a label; public as `understudy.Graph`.

    Shapes:
        ids: large_string [N], distinct, never empty
        texts: large_string [N], never empty; the first line is the title
        labels: int64 [N], an index into `label_names`, or -1 for none
        adjacency: N nodes
        splits: name → int64 node indices, sorted, disjoint; some of train, val, test
        groups: int64 [N] or None; nodes of one group share text and belong in one split
    """

    name: str
    ids: pa.LargeStringArray
    texts: pa.LargeStringArray
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    adjacency: Adjacency
    splits: Mapping[str, NDArray[np.int64]]
    groups: NDArray[np.int64] | None = None
    source: str = ""  # description of where the graph came from
    notes: Mapping[str, int] = field(default_factory=dict)  # repairs made on import: kind → count
    reading: Mapping[str, Any] = field(default_factory=dict)  # files, columns and split read
    lineage: Lineage | None = None  # None: this graph starts a lineage, see `graph.lineage`

    def __repr__(self) -> str:
        """One line with counts only: the arrays may be large."""
        parts = [
            counted(self.num_nodes, "node"),
            counted(self.adjacency.num_edges, "edge"),
            counted(self.num_classes, "class", "classes"),
            *(f"{name} {len(members):,}" for name, members in self.splits.items()),
        ]
        return f"<Graph {self.name!r}: {', '.join(parts)}>"

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return len(self.ids)

    @property
    def num_classes(self) -> int:
        """Number of distinct labels."""
        return len(self.label_names)

    @cached_property
    def index_of(self) -> dict[str, int]:
        """External id → node index."""
        return {node_id: index for index, node_id in enumerate(self.ids.to_pylist())}

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over nodes, edges, labels and splits; the same for equal graphs."""
        digest = hashlib.sha256()
        for strings in (self.ids, self.texts, pa.array(self.label_names, pa.large_string())):
            update_with_strings(digest, strings)
        adjacency, groups = self.adjacency, self.groups
        arrays: list[NDArray[np.integer]] = [self.labels, adjacency.indptr, adjacency.indices]
        if groups is not None:
            arrays.append(groups)
        for array in arrays:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        for name in sorted(self.splits):
            digest.update(f"{name}{len(self.splits[name])}".encode())
            digest.update(np.ascontiguousarray(self.splits[name]).data)
        return digest.hexdigest()

    @cached_property
    def text_hash(self) -> str:
        """SHA-256 over the texts in order; cached text encodings depend on these alone."""
        digest = hashlib.sha256()
        update_with_strings(digest, self.texts)
        return digest.hexdigest()

    def subgraph(self, nodes: NDArray[np.int64]) -> "TextGraph":
        """The induced graph on `nodes` (distinct indices), in their order, with its splits."""
        position = np.full(self.num_nodes, -1, dtype=np.int64)
        position[nodes] = np.arange(len(nodes))
        kept = {name: position[members] for name, members in self.splits.items()}
        return TextGraph(
            name=self.name,
            ids=self.ids.take(pa.array(nodes)),
            texts=self.texts.take(pa.array(nodes)),
            labels=self.labels[nodes],
            label_names=self.label_names,
            adjacency=self.adjacency.induced(nodes),
            splits={name: np.sort(index[index >= 0]) for name, index in kept.items()},
            groups=None if self.groups is None else self.groups[nodes],
            source=self.source,
            notes=self.notes,
            reading=self.reading,
        )


def with_used_labels(graph: TextGraph) -> TextGraph:
    """Returns the graph without label names that no node uses."""
    used = np.unique(graph.labels[graph.labels != UNLABELED])
    renumber = np.full(graph.num_classes + 1, UNLABELED, dtype=np.int64)  # -1 picks the last
    renumber[used] = np.arange(len(used))
    names = tuple(graph.label_names[index] for index in used)
    return replace(graph, labels=renumber[graph.labels], label_names=names)


def update_with_strings(digest: "hashlib._Hash", strings: pa.LargeStringArray) -> None:
    """Feeds a string array to a digest, lengths first, which makes boundaries count."""
    lengths = np.diff(string_offsets(strings))
    digest.update(f"strings{len(strings)}".encode())
    digest.update(np.ascontiguousarray(lengths).data)
    offsets, data = string_offsets(strings), strings.buffers()[2]
    if data is not None:
        digest.update(memoryview(data)[offsets[0] : offsets[-1]])


def string_offsets(strings: pa.LargeStringArray) -> NDArray[np.int64]:
    """int64 [N + 1]: where each string starts in the array's data buffer, in bytes."""
    if len(strings) == 0:
        return np.zeros(1, dtype=np.int64)
    start = strings.offset
    offsets = np.frombuffer(strings.buffers()[1], dtype=np.int64)
    return offsets[start : start + len(strings) + 1]


def string_array(values: Iterable[str]) -> pa.LargeStringArray:
    return pa.array(list(values), type=pa.large_string())


def own_groups(groups: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Gives each node without a group (-1) a group of its own; None if no node has a group.

    Shapes:
        groups: int64 [N]
    """
    alone = groups < 0
    if alone.all():
        return None
    return np.where(alone, groups.max() + np.cumsum(alone), groups)
