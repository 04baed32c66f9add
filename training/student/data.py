"""A graph as the loop reads it: tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from training.encoders.features import Features, csr_tensor
from training.student.attention import attended
from training.student.network import Edges
from training.teacher.answers.targets import Targets
from training.trainable import check_trainable, labeled_nodes
from understudy.graph import TextGraph
from understudy.graph.csr import Adjacency


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
    check_trainable(graph)
    parts = {name: labeled_members(graph, name) for name in ("train", "val", "test")}
    return GraphData(
        features=features,
        edges=edges(graph.adjacency),
        labels=torch.from_numpy(graph.labels.copy()),
        adjacency=graph.adjacency,
        targets=targets,
        **parts,
    )


def labeled_members(graph: TextGraph, name: str) -> Tensor:
    return torch.from_numpy(labeled_nodes(graph, name))


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
