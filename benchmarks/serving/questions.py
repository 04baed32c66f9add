"""Bodies of requests as JSON: nodes, batches of nodes, and edges to add and remove."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from benchmarks.serving.nodes import json_node, student_nodes
from understudy.graph import TextGraph

EDGES = (97, 193)  # strides of the rows that edges are added between


class Questions:
    """Stored nodes, unseen ones whose texts are all different, and edges to add and remove."""

    def __init__(self, graph: TextGraph) -> None:
        self.graph = graph
        self.makers = student_nodes(graph)
        self.counts = dict.fromkeys(self.makers, 0)
        self.edge_count = 0

    def nodes(self, sort: str, count: int) -> list[dict[str, Any]]:
        """The next nodes of a sort, `stored` or `unseen`."""
        start = self.counts[sort]
        self.counts[sort] += count
        return [json_node(self.makers[sort](start + number)) for number in range(count)]

    def edges(self, count: int) -> list[dict[str, str]]:
        """The next edges that the graph lacks, as a change names them."""
        start = self.edge_count
        self.edge_count += count
        return [self.edge(start + number) for number in range(count)]

    def edge(self, number: int) -> dict[str, str]:
        """Two nodes without an edge between them."""
        rows = self.graph.num_nodes
        first, second = (number * EDGES[0]) % rows, (number * EDGES[1] + rows // 2) % rows
        while first == second or second in self.graph.adjacency.neighbors(first):
            second = (second + 1) % rows
        return {"source": self.graph.ids[first].as_py(), "target": self.graph.ids[second].as_py()}


def classify_body(nodes: Sequence[Mapping[str, Any]]) -> bytes:
    return msgspec.json.encode({"nodes": nodes})


def id_bodies(ids: Sequence[str], batch: int, count: int) -> list[bytes]:
    """`POST /classify` about `batch` stored nodes each, all different."""
    return [
        msgspec.json.encode(
            {"nodes": [{"id": ids[(r * batch + n) % len(ids)]} for n in range(batch)]}
        )
        for r in range(count)
    ]


def mutation_body(edge: dict[str, str], kind: str) -> bytes:
    """`POST /mutations` with one edge; kind: add_edge or remove_edge."""
    return msgspec.json.encode({"mutations": [{"kind": kind, **edge}]})
