"""A graph as the loop reads it: tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.adjacency import adjacency_matrix, normalized_adjacency
from training.encoders.features import Features, csr_tensor
from training.student.attention import attended
from training.student.kinds import Edges
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
    splits = ("train", "val", "test")
    parts = {name: torch.from_numpy(labeled_nodes(graph, name)) for name in splits}
    return GraphData(
        features=features,
        edges=edges(graph.adjacency),
        labels=torch.from_numpy(graph.labels.copy()),
        adjacency=graph.adjacency,
        targets=targets,
        **parts,
    )


def edges(adjacency: Adjacency) -> Edges:
    normalized = normalized_adjacency(adjacency)
    edge_index = torch.from_numpy(adjacency.edge_index())
    matrix = csr_tensor(adjacency_matrix(adjacency))
    return Edges(matrix, csr_tensor(normalized), attended(normalized), edge_index)
