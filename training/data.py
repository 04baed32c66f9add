"""What training reads of a graph and of a teacher, as tensors, and whether a graph has enough."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from training.devices import moved
from training.edges import Edges, edges
from training.encoders.features import (
    Features,
)
from training.errors import TeacherError, UntrainableError
from understudy.graph import UNLABELED, TextGraph
from understudy.graph.csr import Adjacency
from understudy.graph.splits import labeled_nodes

GRADED_FROM = 3  # nodes of a class, of which a random split gives train, test and val one each


def check_trainable(graph: TextGraph) -> None:
    """Refuses a graph from which no student can be trained and selected.

    Raises:
        UntrainableError: as in `check_classes`; or train or val holds no labelled node.
    """
    check_classes(graph)
    for name in ("train", "val"):
        if not len(labeled_nodes(graph, name)):
            raise UntrainableError(
                f"{graph.name} has no labelled node in its {name} split; {advice(graph, name)}"
            )


def advice(graph: TextGraph, split: str) -> str:
    """What gives a graph a labelled node in a split."""
    labeled = np.flatnonzero(graph.labels != UNLABELED)
    groups = labeled if graph.groups is None else graph.groups[labeled]
    apart = np.unique(np.stack([graph.labels[labeled], groups]), axis=1)[0]
    if np.bincount(apart, minlength=1).max() < GRADED_FROM:
        return f"label at least {GRADED_FROM} nodes of a class (of {GRADED_FROM} groups, if any)"
    return (
        f"give labelled nodes the split {split!r}, or import without splits to have them drawn, "
        "with a share for each of train, val and test in --fractions"
    )


def check_classes(graph: TextGraph) -> None:
    """Refuses a graph with fewer than two classes, or with one that nothing could learn.

    Raises:
        UntrainableError: it is such a graph, or no labelled node of train has some class.
    """
    if graph.num_classes < 2:
        found = f"one class, {graph.label_names[0]!r}" if graph.label_names else "no labels"
        raise UntrainableError(
            f"{graph.name} has {found}; at least 2 classes are needed: name the column with the "
            "labels when it is imported, or label some nodes"
        )
    labels = graph.labels[labeled_nodes(graph, "train")]
    counts = np.bincount(labels, minlength=graph.num_classes)
    missing = [graph.label_names[index] for index in np.flatnonzero(counts == 0)]
    if len(missing) == graph.num_classes:
        raise UntrainableError(
            f"{graph.name} has no labelled node in its train split; {advice(graph, 'train')}"
        )
    if missing:
        raise UntrainableError(
            f"{graph.name} has no training node of {', '.join(map(repr, missing[:5]))}"
            f"{' and others' if len(missing) > 5 else ''}; put a node of it into the split "
            "'train', or remove that label from its nodes, and import again"
        )


@dataclass(frozen=True, slots=True)
class Targets:
    """The teacher's answers, indexed by node.

    Shapes:
        asked: bool [N], whether the teacher was asked about a node
        known: bool [N], whether its view says something about a node: asked, or reached by edges;
            of a node that it was tuned on only what is said without its label
        tuned: bool [N], whether the transformer, or whatever made the features, learned a node's
            label
        log_probabilities: float32 [N, C], of the view that is best on validation; 0 where unknown
        features: float16 [H, N, d_T], or None; 0 where not asked
    """

    hops: tuple[int, ...]
    asked: Tensor
    known: Tensor
    tuned: Tensor
    log_probabilities: Tensor
    features: Tensor | None
    view: str  # which hop, or what joins them
    temperature: float  # that its log-probabilities were divided by

    @property
    def classes(self) -> int:
        return self.log_probabilities.shape[1]

    def to(self, device: torch.device) -> "Targets":
        return moved(self, device)

    def required_features(self, objective: str) -> Tensor:
        """The features.

        Raises:
            TeacherError: the teacher shows none.
        """
        if self.features is None:
            raise TeacherError(
                f"the objective {objective!r} needs a teacher's features, and an endpoint "
                "shows none; use kd, unlabeled, bd, ff or mixup"
            )
        return self.features


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

    def to(self, device: torch.device, whole: bool) -> "GraphData":
        """The same on a device; dense features where the whole graph is read in a step, else they
        stay where they are, and batches take theirs along, as they do hashed ones."""
        if whole:
            return moved(self, device)
        if not isinstance(self.features, Tensor):
            return moved(replace(self, features=self.features.gathered()), device)
        others = moved(replace(self, features=torch.empty(0)), device)
        return replace(others, features=self.features)


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


@dataclass(frozen=True, slots=True)
class Batch:
    """n nodes of which the first are the seeds: only their outputs are read.

    Attributes:
        reach: of how many first nodes each layer's results are read on the way to the seeds';
            empty: of all

    Shapes:
        nodes: int64 [n], indices in the graph
        labels: int64 [n]
        train: int64 [t], the seeds of the training split, positions in the batch
        untrained: int64, the other seeds
    """

    features: Features
    edges: Edges
    nodes: Tensor
    num_seeds: int
    labels: Tensor
    train: Tensor
    untrained: Tensor
    reach: tuple[int, ...] = ()

    def to(self, device: torch.device) -> "Batch":
        return moved(self, device)

    @property
    def seeds(self) -> Tensor:
        return torch.arange(self.num_seeds, device=self.nodes.device)


def whole_graph(data: GraphData) -> Batch:
    """Every node is a seed."""
    count = len(data.labels)
    nodes = torch.arange(count, device=data.labels.device)
    in_train = train_mask(data)
    return Batch(
        features=data.features,
        edges=data.edges,
        nodes=nodes,
        num_seeds=count,
        labels=data.labels,
        train=data.train,
        untrained=nodes[~in_train],
    )


def train_mask(data: GraphData) -> Tensor:
    mask = torch.zeros(len(data.labels), dtype=torch.bool, device=data.labels.device)
    mask[data.train] = True
    return mask
