"""Computes the figures of a graph."""

from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from understudy.graph.csr import Adjacency
from understudy.graph.lineage import lineage_of, lineage_value
from understudy.graph.text_graph import UNLABELED, TextGraph

TEXT_PERCENTILES = (5, 25, 50, 75, 95, 100)


def edge_homophily(graph: TextGraph) -> float | None:
    """Share of edges between labelled nodes that join equal labels; None if there are none."""
    first, second = graph.labels[graph.adjacency.edges().T]
    both = (first != UNLABELED) & (second != UNLABELED)
    return float((first == second)[both].mean()) if both.any() else None


def components(adjacency: Adjacency) -> NDArray[np.int64]:
    """int64 [N]: the connected component of every node, numbered from 0."""
    count = adjacency.num_nodes
    if not count:
        return np.empty(0, np.int64)
    ones = np.ones(len(adjacency.indices), dtype=np.int8)
    matrix = csr_array((ones, adjacency.indices, adjacency.indptr), shape=(count, count))
    labels: NDArray[np.int64] = connected_components(matrix, directed=False)[1].astype(np.int64)
    return labels


def describe(graph: TextGraph) -> dict[str, Any]:
    """The figures of a graph as a JSON value."""
    degrees = graph.adjacency.degrees
    sizes = np.bincount(components(graph.adjacency))
    lengths = pc.utf8_length(graph.texts).to_numpy(zero_copy_only=False)
    homophily = edge_homophily(graph)
    return {
        "name": graph.name,
        "source": graph.source,
        "content_hash": graph.content_hash,
        "lineage": lineage_value(lineage_of(graph)),
        "nodes": graph.num_nodes,
        "edges": graph.adjacency.num_edges,
        "labeled": int((graph.labels != UNLABELED).sum()),
        "degree": {
            "min": int(degrees.min()),
            "median": float(np.median(degrees)),
            "mean": round(float(degrees.mean()), 3),
            "max": int(degrees.max()),
        },
        "isolated_nodes": int((degrees == 0).sum()),
        "components": len(sizes),
        "largest_component": int(sizes.max()),
        "edge_homophily": None if homophily is None else round(homophily, 4),
        "text_characters": {
            f"p{percentile}" if percentile < 100 else "max": int(np.percentile(lengths, percentile))
            for percentile in TEXT_PERCENTILES
        },
        "groups": None if graph.groups is None else len(np.unique(graph.groups)),
        "splits": {name: len(members) for name, members in graph.splits.items()},
        "classes": class_counts(graph),
        "notes": dict(graph.notes),
        "reading": dict(graph.reading),
    }


def class_counts(graph: TextGraph) -> list[dict[str, Any]]:
    """Every class with its number of nodes, in total and by split; the largest first."""

    def counts(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(labels[labels != UNLABELED], minlength=graph.num_classes)

    overall = counts(graph.labels)
    by_split = {name: counts(graph.labels[members]) for name, members in graph.splits.items()}
    return [
        {
            "label": graph.label_names[index],
            "nodes": int(overall[index]),
            **{name: int(values[index]) for name, values in by_split.items()},
        }
        for index in np.argsort(-overall, kind="stable")
    ]
