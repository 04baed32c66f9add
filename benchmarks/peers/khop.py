"""Extracts the neighbourhood of some nodes as a graph of its own, layer by layer, in numpy.

It does what PyTorch Geometric's `NeighborLoader` and `trim_to_layer` do together, for all
neighbours or for sampled ones; `torch_geometric.utils.k_hop_subgraph` would look at every edge of
the graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Nodes within some hops of those that are asked about.

    Shapes:
        nodes: int64 [S], those asked about first, then hop by hop; from N on they are unseen ones
        counts: [hops + 1], nodes within 0, 1, … hops
        sources, targets: int64 [E], positions in `nodes`, by the targets' hop
        edges: [hops], edges into nodes within 0, 1, … hops
    """

    nodes: Rows
    counts: tuple[int, ...]
    sources: Rows
    targets: Rows
    edges: tuple[int, ...]


class Neighborhoods:
    """Finds subgraphs of one graph."""

    def __init__(self, adjacency: Adjacency, most: Sequence[int] = ()) -> None:
        """`most`: neighbours of a node that are drawn at each hop; all where it is empty."""
        self.indptr = np.asarray(adjacency.indptr)
        self.indices = np.asarray(adjacency.indices)
        self.most = most
        self.generator = np.random.default_rng(0)
        self.place = np.full(adjacency.num_nodes, -1)  # in the subgraph; -1 between calls

    def around(self, queried: Rows, unseen: Sequence[Rows], hops: int) -> Subgraph:
        """The subgraph of distinct stored rows `queried`, and of unseen nodes by their neighbours.

        An unseen node's position is behind the stored ones'; nobody has it as a neighbour.
        """
        stored = self.indptr.shape[0] - 1
        nodes = np.concatenate([queried, stored + np.arange(len(unseen))])
        self.place[queried] = np.arange(len(queried))
        counts, edges = [len(nodes)], []
        sources: list[Rows] = []
        targets: list[Rows] = []
        newest, known = queried, len(nodes)
        parts = [nodes]
        for hop in range(hops):
            neighbors, lengths = self.neighbors(newest, hop)
            into = np.repeat(self.place[newest], lengths)
            if hop == 0 and unseen:
                drawn = [self.sample(row, hop) for row in unseen]
                neighbors = np.concatenate([neighbors, *drawn])
                positions = len(queried) + np.arange(len(unseen))
                into = np.concatenate([into, np.repeat(positions, [len(row) for row in drawn])])
            newest = np.unique(neighbors[self.place[neighbors] < 0])
            self.place[newest] = known + np.arange(len(newest))
            known += len(newest)
            parts.append(newest)
            sources.append(self.place[neighbors])
            targets.append(into)
            counts.append(known)
            edges.append(sum(map(len, sources)))
        everyone = np.concatenate(parts)
        self.place[everyone[everyone < stored]] = -1
        return Subgraph(
            everyone, tuple(counts), np.concatenate(sources), np.concatenate(targets), tuple(edges)
        )

    def neighbors(self, rows: Rows, hop: int) -> tuple[Rows, Rows]:
        """The neighbours of rows, one row's after another's, and how many each has."""
        starts = self.indptr[rows]
        lengths = self.indptr[rows + 1] - starts
        if self.most and len(rows) and lengths.max() > self.most[hop]:
            found = [
                self.sample(self.indices[a : a + n].astype(np.int64), hop)
                for a, n in zip(starts, lengths, strict=True)
            ]
            return np.concatenate(found), np.array([len(row) for row in found])
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        positions = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
        return self.indices[positions].astype(np.int64), lengths

    def sample(self, row: Rows, hop: int) -> Rows:
        """Draws the neighbours of a node that a hop reads, where their number is limited."""
        if not self.most or len(row) <= self.most[hop]:
            return row
        return self.generator.choice(row, self.most[hop], replace=False)
