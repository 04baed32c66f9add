"""A graph as the loop reads it: tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from graph import UNLABELED, TextGraph
from graph.csr import Adjacency
from training.attention import attended
from training.errors import UntrainableError
from training.features import Features, csr_tensor
from training.student import Edges
from training.targets import Targets


@dataclass(frozen=True, slots=True)
class GraphData:
    """Shapes: labels: int64 [N]; train, val, test: int64 indices of labelled nodes."""

    features: Features
    edges: Edges
    labels: Tensor
    train: Tensor
    val: Tensor
    test: Tensor
    adjacency: Adjacency
    targets: Targets | None = None  # what a teacher says


def graph_data(graph: TextGraph, features: Features, targets: Targets | None = None) -> GraphData:
    """Gathers what training reads.

    Raises:
        UntrainableError: train or val holds no labelled node, there are fewer than 2 classes, or
            one that no training node has.
    """
    if graph.num_classes < 2:
        raise UntrainableError(
            f"{graph.name} has {graph.num_classes} classes; at least 2 are needed"
        )
    parts = {name: labeled_members(graph, name) for name in ("train", "val", "test")}
    for name in ("train", "val"):
        if len(parts[name]) == 0:
            raise UntrainableError(
                f"{graph.name} has no labelled node in its {name} split; give nodes a split "
                f"{name!r}, or import without splits to have them drawn"
            )
    check_classes(graph)
    return GraphData(
        features=features,
        edges=edges(graph.adjacency),
        labels=torch.from_numpy(graph.labels.copy()),
        adjacency=graph.adjacency,
        targets=targets,
        **parts,
    )


def labeled_members(graph: TextGraph, name: str) -> Tensor:
    members = graph.splits.get(name, np.empty(0, dtype=np.int64))
    return torch.from_numpy(members[graph.labels[members] != UNLABELED])


def edges(adjacency: Adjacency) -> Edges:
    normalized = normalized_adjacency(adjacency)
    edge_index = torch.from_numpy(adjacency.edge_index())
    matrix = csr_tensor(adjacency_matrix(adjacency))
    return Edges(matrix, csr_tensor(normalized), attended(normalized), edge_index)


def adjacency_matrix(adjacency: Adjacency) -> sparse.csr_array:
    """float32 [N, N], a one for every edge and direction."""
    ones = np.ones(len(adjacency.indices), dtype=np.float32)
    size = (adjacency.num_nodes, adjacency.num_nodes)
    return sparse.csr_array((ones, adjacency.indices, adjacency.indptr), size)


def normalized_adjacency(adjacency: Adjacency) -> sparse.csr_array:
    """float32 [N, N], with self-loops, divided by the roots of both degrees (arXiv 1609.02907)."""
    scale = sparse.diags_array(1 / np.sqrt(adjacency.degrees + 1.0))
    looped = adjacency_matrix(adjacency) + sparse.eye_array(adjacency.num_nodes)
    normalized = sparse.csr_array(scale @ looped @ scale).astype(np.float32)
    normalized.sort_indices()
    return normalized


def check_classes(graph: TextGraph) -> None:
    """Refuses a graph with a class that nothing could learn.

    Raises:
        UntrainableError: no labelled node of train has some class.
    """
    members = graph.splits.get("train", np.empty(0, dtype=np.int64))
    labels = graph.labels[members]
    counts = np.bincount(labels[labels != UNLABELED], minlength=graph.num_classes)
    missing = [graph.label_names[index] for index in np.flatnonzero(counts == 0)]
    if missing:
        raise UntrainableError(
            f"{graph.name} has no training node of {', '.join(map(repr, missing[:5]))}"
            f"{' and others' if len(missing) > 5 else ''}; label some, or leave that class out"
        )
