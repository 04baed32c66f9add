"""Undirected adjacency in compressed sparse rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


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
        """Number of undirected edges: each pair counts once."""
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
    """What `build_adjacency` dropped from the given pairs."""

    self_loops: int
    duplicates: int


def build_adjacency(num_nodes: int, pairs: NDArray[np.integer]) -> tuple[Adjacency, Dropped]:
    """Builds the adjacency of `num_nodes` nodes from pairs of node indices.

    Self-loops are dropped; (a, b) and (b, a) are one edge.

    Shapes:
        pairs: integers [E', 2], each in [0, num_nodes); as int32 and the transpose of [2, E'] they
            are not copied

    Raises:
        ValueError: an endpoint is outside [0, num_nodes).
    """
    pairs = np.asarray(pairs).reshape(-1, 2)
    if len(pairs) and (int(pairs.min()) < 0 or int(pairs.max()) >= num_nodes):
        raise ValueError(f"edge endpoints must be in [0, {num_nodes})")
    first, second = (pairs[:, end].astype(np.int32, copy=False) for end in (0, 1))
    distinct = first != second
    self_loops = len(pairs) - int(np.count_nonzero(distinct))
    if self_loops:
        first, second = first[distinct], second[distinct]
    del distinct
    rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
    del first, second
    # Counting sort into rows, sorted in place: a third of the memory of sorting pairs' keys.
    entries = np.ones(len(rows), np.bool_)
    listed = sparse.coo_array((entries, (rows, columns)), (num_nodes, num_nodes)).tocsr()
    listed.sum_duplicates()
    adjacency = Adjacency(
        listed.indptr.astype(np.int64), listed.indices.astype(np.int32, copy=False)
    )
    return adjacency, Dropped(self_loops, len(pairs) - self_loops - adjacency.num_edges)


def sorted_distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct keys in ascending order."""
    keys = np.sort(keys)
    new = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return keys[new]
