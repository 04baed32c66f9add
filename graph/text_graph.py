"""The text-attributed graph."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph.csr import Adjacency
from graph.errors import BadInputError

UNLABELED = -1
SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class TextGraph:
    """A graph whose nodes carry text and, some of them, a label.

    Shapes:
        ids: large_string [N], distinct, never empty
        texts: large_string [N], never empty; the first line is the title
        labels: int64 [N], an index into `label_names`, or -1 for none
        adjacency: N nodes
        splits: name → int64 node indices, sorted, disjoint; some of train, val, test
        groups: int64 [N] or None; nodes of one group belong into one split (they share text)
    """

    name: str
    ids: pa.LargeStringArray
    texts: pa.LargeStringArray
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    adjacency: Adjacency
    splits: Mapping[str, NDArray[np.int64]]
    groups: NDArray[np.int64] | None = None
    source: str = ""  # where it came from, in words
    notes: Mapping[str, int] = field(default_factory=dict)  # what was repaired: kind → count

    @property
    def num_nodes(self) -> int:
        return len(self.ids)

    @property
    def num_classes(self) -> int:
        return len(self.label_names)

    @cached_property
    def index_of(self) -> dict[str, int]:
        """External id → node index."""
        return {node_id: index for index, node_id in enumerate(self.ids.to_pylist())}

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything but name, source and notes; the same for equal graphs."""
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
        """SHA-256 over the texts alone, in order: what a text encoder's output depends on."""
        digest = hashlib.sha256()
        update_with_strings(digest, self.texts)
        return digest.hexdigest()

    def subgraph(self, nodes: NDArray[np.int64]) -> "TextGraph":
        """The induced graph on `nodes` (distinct indices), in their order; splits follow."""
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
        )


def update_with_strings(digest: "hashlib._Hash", strings: pa.LargeStringArray) -> None:
    """Feeds a string array to a digest: lengths first, so that boundaries count."""
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


def check_split(graph: TextGraph) -> None:
    """Refuses a split that could not give an honest accuracy.

    Raises:
        BadInputError: splits overlap, or a label is seen in val or test only.
    """
    seen = np.zeros(graph.num_nodes, dtype=np.int64)
    for members in graph.splits.values():
        seen[members] += 1
    if (seen > 1).any():
        node = graph.ids[int(np.argmax(seen > 1))].as_py()
        raise BadInputError(f"node {node!r} is in more than one split; each node may be in one")
    trained = set(graph.labels[graph.splits.get("train", np.empty(0, np.int64))].tolist())
    for name in ("val", "test"):
        members = graph.splits.get(name, np.empty(0, np.int64))
        for label in sorted(set(graph.labels[members].tolist()) - trained - {UNLABELED}):
            node = graph.ids[int(members[graph.labels[members] == label][0])].as_py()
            raise BadInputError(
                f"label {graph.label_names[label]!r} (node {node!r}) is in {name} "
                "but not in train; move some of its nodes to train or remove its label"
            )


def random_split(
    labels: NDArray[np.int64],
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[np.int64]]:
    """Splits the labelled nodes, stratified by label; nodes of one group stay together.

    A group is placed by the label of its first node; a class that this leaves without a training
    node has one of its groups moved to train. A class of one group is trained on and never graded,
    one of two groups is not selected on.

    Args:
        fractions: of train, val and test; they sum to 1, and that of train is not 0.

    Raises:
        ValueError: the fractions are not three shares of 1.
    """
    if len(fractions) != 3 or min(fractions) < 0 or fractions[0] == 0:
        raise ValueError("fractions must be three shares, and train's more than 0")
    if abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions must sum to 1, these sum to {sum(fractions):g}")
    generator = np.random.default_rng(seed)
    labeled = np.flatnonzero(labels != UNLABELED)
    group_of = labeled if groups is None else groups[labeled]
    _, first, member = np.unique(group_of, return_index=True, return_inverse=True)
    group_labels = labels[labeled[first]]
    part = np.zeros(len(first), dtype=np.int64)
    for label in np.unique(group_labels):
        own = generator.permutation(np.flatnonzero(group_labels == label))
        for index, piece in enumerate(np.split(own, cut_points(len(own), fractions))):
            part[piece] = index
    for label in np.setdiff1d(labels[labeled], labels[labeled[part[member] == 0]]):
        part[member[np.flatnonzero(labels[labeled] == label)[0]]] = 0
    return {name: labeled[part[member] == index] for index, name in enumerate(SPLIT_NAMES)}


def cut_points(count: int, fractions: Sequence[float]) -> tuple[int, int]:
    """Where val and test start among `count` groups: train first, then test, then val get one."""
    wants_val, wants_test = (int(fraction > 0) for fraction in fractions[1:])
    least_test = wants_test if count >= 2 else 0
    least_val = wants_val if count >= 2 + wants_test else 0
    train = min(max(round(fractions[0] * count), 1), count - least_val - least_test)
    val_end = round((fractions[0] + fractions[1]) * count) if wants_test else count
    return train, min(max(val_end, train + least_val), count - least_test)
