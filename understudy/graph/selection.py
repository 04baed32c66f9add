"""Selects a connected, class-balanced part of a graph."""

import heapq
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency
from understudy.graph.text_graph import UNLABELED, TextGraph

ROOT = -1
UNREACHED = -2


def connected_part(graph: TextGraph, limit: int, always: Sequence[str] = ()) -> NDArray[np.int64]:
    """Chooses at most `limit` nodes that form a connected part, with classes as equal as possible.

    The part grows from the node with the most neighbours: the class with the fewest nodes so far
    adds its best connected node, together with the nodes on a shortest path to the part. The same
    graph always gives the same part; nodes outside the largest component are never in it.

    Args:
        limit: at least 1.
        always: ids that come first, if the graph has them and there is room.

    Returns:
        int64 node indices, sorted
    """
    degrees = graph.adjacency.degrees
    root = int(np.argmax(degrees))
    parents = shortest_way_parents(graph.adjacency, root)
    part = Part(graph.labels, parents, limit)
    for node in (root, *(graph.index_of.get(node_id, root) for node_id in always)):
        part.add(node)
    reachable = np.flatnonzero(parents != UNREACHED)
    order = reachable[np.argsort(-degrees[reachable], kind="stable")]
    labels = graph.labels[order]
    waiting = {label: iter(order[labels == label].tolist()) for label in np.unique(labels).tolist()}
    unlabeled = waiting.pop(UNLABELED, iter(()))
    heap = [(part.sizes[label], label) for label in waiting]
    heapq.heapify(heap)
    while heap and len(part.nodes) < limit:
        size, label = heapq.heappop(heap)
        if size == part.sizes[label]:  # otherwise paths of other classes added some: queue again
            best = next(waiting[label], None)
            if best is None:
                continue
            part.add(best)
        heapq.heappush(heap, (part.sizes[label], label))
    for node in unlabeled:
        part.add(node)
    return np.array(sorted(part.nodes), dtype=np.int64)


class Part:
    """The nodes chosen so far, always connected."""

    def __init__(self, labels: NDArray[np.int64], parents: NDArray[np.int64], limit: int) -> None:
        self.labels, self.parents, self.limit = labels, parents, limit
        self.nodes: set[int] = set()
        self.sizes: Counter[int] = Counter()  # label → number of chosen nodes

    def add(self, node: int) -> None:
        """Adds a node with its path to the part, if there is room for both."""
        way: list[int] = []
        while node >= 0 and node not in self.nodes:
            way.append(node)
            node = int(self.parents[node])
        if node != UNREACHED and len(self.nodes) + len(way) <= self.limit:
            self.nodes.update(way)
            self.sizes.update(self.labels[way].tolist())


def shortest_way_parents(adjacency: Adjacency, root: int) -> NDArray[np.int64]:
    """int64 [N]: the next node on a shortest path to `root`; ROOT there, or UNREACHED.

    Among several next nodes it is the one with the most neighbours, so that paths merge.
    """
    parents = np.full(adjacency.num_nodes, UNREACHED, dtype=np.int64)
    parents[root] = ROOT
    degrees = adjacency.degrees
    # Neighbours in ascending order of degree: the last parent written stays.
    sources, targets = adjacency.edge_index()
    frontier = np.zeros(adjacency.num_nodes, dtype=bool)
    frontier[root] = True
    rising = np.argsort(degrees[sources], kind="stable")
    sources, targets = sources[rising], targets[rising]
    while frontier.any():
        step = frontier[sources] & (parents[targets] == UNREACHED)
        parents[targets[step]] = sources[step]
        frontier[:] = False
        frontier[targets[step]] = True
    return parents
