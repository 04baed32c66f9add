"""Undirected adjacency in compressed sparse rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Adjacency:
    """An undirected simple graph: each edge is stored in both directions, rows are sorted.

    Shapes:
        indptr: int64 [N + 1]; row i is `indices[indptr[i] : indptr[i + 1]]`
        indices: int32 [2 E]; no self-loop, no duplicate, symmetric
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]

    @property
    def num_nodes(self) -> int:
        return len(self.indptr) - 1

    @property
    def num_edges(self) -> int:
        """Undirected edges: each pair counts once."""
        return len(self.indices) // 2

    @property
    def degrees(self) -> NDArray[np.int64]:
        """int64 [N]."""
        return np.diff(self.indptr)

    def neighbors(self, node: int) -> NDArray[np.int32]:
        return self.indices[self.indptr[node] : self.indptr[node + 1]]

    def edge_index(self) -> NDArray[np.int64]:
        """int64 [2, 2 E]: row 0 the sources, row 1 the targets, sorted by target."""
        targets = np.repeat(np.arange(self.num_nodes, dtype=np.int64), self.degrees)
        return np.stack([self.indices.astype(np.int64), targets])

    def edges(self) -> NDArray[np.int32]:
        """int32 [E, 2]: each undirected edge once, smaller index first, sorted."""
        rows = np.repeat(np.arange(self.num_nodes, dtype=np.int32), self.degrees)
        keep = rows < self.indices
        return np.stack([rows[keep], self.indices[keep]], axis=1)

    def induced(self, nodes: NDArray[np.int64]) -> "Adjacency":
        """The subgraph on `nodes` (distinct indices), renumbered in their order."""
        position = np.full(self.num_nodes, -1, dtype=np.int64)
        position[nodes] = np.arange(len(nodes))
        pairs = position[self.edges()]
        return build_adjacency(len(nodes), pairs[(pairs >= 0).all(axis=1)])[0]


@dataclass(frozen=True, slots=True)
class Dropped:
    """What `build_adjacency` left out of the pairs that it was given."""

    self_loops: int
    duplicates: int


def build_adjacency(num_nodes: int, pairs: NDArray[np.integer]) -> tuple[Adjacency, Dropped]:
    """Builds the adjacency of `num_nodes` nodes from pairs of node indices.

    Self-loops are dropped; (a, b) and (b, a) are one edge.

    Shapes:
        pairs: integers [E', 2], each in [0, num_nodes)

    Raises:
        ValueError: an endpoint is outside [0, num_nodes).
    """
    pairs = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    low, high = np.minimum(pairs[:, 0], pairs[:, 1]), np.maximum(pairs[:, 0], pairs[:, 1])
    if len(pairs) and (low.min() < 0 or high.max() >= num_nodes):
        raise ValueError(f"edge endpoints must be in [0, {num_nodes})")
    distinct = low != high
    # One sorted 64-bit key a direction: several times faster than sorting by two columns.
    keys = sorted_distinct(low[distinct] * num_nodes + high[distinct])
    low, high = np.divmod(keys, max(num_nodes, 1))
    both = np.sort(np.concatenate([keys, high * num_nodes + low]))
    rows, columns = np.divmod(both, max(num_nodes, 1))
    indptr = np.zeros(num_nodes + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=num_nodes), out=indptr[1:])
    self_loops = int(len(pairs) - distinct.sum())
    adjacency = Adjacency(indptr, columns.astype(np.int32))
    return adjacency, Dropped(self_loops, len(pairs) - self_loops - len(keys))


def sorted_distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct keys in rising order."""
    keys = np.sort(keys)
    new = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return keys[new]
