"""A graph and a teacher's answers as tensors for training."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from training.devices import moved
from training.encoders.features import (
    PROCESSOR,
    Features,
    csr_tensor,
    multiplied,
    scipy_matrix,
)
from training.errors import TeacherError
from understudy.graph import TextGraph
from understudy.graph.csr import Adjacency
from understudy.graph.layers.neighborhoods import Weighting
from understudy.graph.splits import labeled_nodes
from understudy.graph.trainable import check_trainable


@dataclass(frozen=True, slots=True)
class Attended:
    """The P attention pairs, including each node with itself, sorted by target.

    Shapes:
        indptr: int32 [N + 1], where each target's pairs start
        sources, targets: int64 [P]
    """

    indptr: NDArray[np.int32]
    sources: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> "Attended":
        return moved(self, device)


@dataclass(frozen=True, slots=True)
class Product:
    """The sum over neighbours' rows, as a product with a sparse matrix.

    Shapes:
        matrix: sparse CSR [B, N]; row i holds the weights of the rows that node i reads
        transposed: its transpose; the same object if the matrix is symmetric
        scale: float32 [B, 1], by which sums are multiplied, or None
    """

    matrix: Tensor
    transposed: Tensor
    scale: Tensor | None = None

    def sums(self, h: Tensor) -> Tensor:
        """[N, d] → [B, d], before the scale."""
        return multiplied(self.matrix, h)

    def scaled(self, sums: Tensor, rows: slice) -> Tensor:
        """The sums of some rows, scaled."""
        return sums if self.scale is None else sums * self.scale[rows]

    def add_transposed(self, total: Tensor, gradient: Tensor) -> None:
        """Adds the gradient of the summed rows, [N, d], given that of the sums, [B, d]."""
        torch.addmm(total, self.transposed, gradient, out=total)

    def of(self, nodes: NDArray[np.int64]) -> "Product":
        """The product for some nodes alone, in their order; it has no gradient."""
        matrix = csr_tensor(scipy_matrix(self.matrix)[nodes]).to(self.matrix.device)
        return Product(
            matrix, matrix, None if self.scale is None else self.scale[torch.from_numpy(nodes)]
        )


class Edges:
    """The graph's edges in the forms that layers and objectives read, built on first use.

    Args:
        plain: float32 [N, N]; row i holds the weights of node i's neighbours, 1 in a whole graph
        normalized: makes the matrix [N, N] that GCN reads
        symmetric: whether both matrices are
        device: of the tensors; the source matrices stay on the CPU
    """

    def __init__(
        self,
        plain: sparse.csr_array,
        normalized: Callable[[], sparse.csr_array],
        symmetric: bool = True,
        device: torch.device = PROCESSOR,
    ) -> None:
        self.plain, self.make_normalized, self.symmetric = plain, normalized, symmetric
        self.device = device

    def to(self, device: torch.device) -> "Edges":
        """The edges with their tensors on a device; self if they are already there."""
        if device == self.device:
            return self
        return Edges(self.plain, self.make_normalized, self.symmetric, device)

    @cached_property
    def adjacency(self) -> Tensor:
        """Sparse CSR [N, N], ones; row i holds the neighbours of node i."""
        return csr_tensor(self.plain).to(self.device)

    @cached_property
    def looped(self) -> sparse.csr_array:
        """The matrix that `normalized` is made from, sharing its memory on the CPU."""
        return self.make_normalized()

    @cached_property
    def normalized(self) -> Tensor:
        """Sparse CSR [N, N], with self-loops, 1 / sqrt((d_i + 1)(d_j + 1)), for GCN."""
        return csr_tensor(self.looped).to(self.device)

    @cached_property
    def attended(self) -> "Attended":
        """Every node's neighbours and itself, for GAT."""
        return attended(self.looped).to(self.device)

    @cached_property
    def edge_index(self) -> Tensor:
        """int64 [2, 2 E], (from, to), sorted by target; read by objectives."""
        targets = np.repeat(np.arange(self.plain.shape[0]), np.diff(self.plain.indptr))
        pairs = np.stack([self.plain.indices.astype(np.int64), targets])
        return torch.from_numpy(pairs).to(self.device)

    @cached_property
    def products(self) -> dict[tuple[Weighting, int, int], Product]:
        return {}

    def product(self, weighting: Weighting, rows: int, columns: int) -> Product | None:
        """The product that sums neighbours' rows; None unless mean, sum or symmetric.

        Args:
            rows, columns: how many leading nodes are summed for, and how many hold all of their
                neighbours
        """
        if weighting not in ("mean", "sum", "symmetric"):
            return None
        key = weighting, rows, columns
        if key not in self.products:
            self.products[key] = self.make_product(*key)
        return self.products[key]

    def make_product(self, weighting: Weighting, rows: int, columns: int) -> Product:
        own = self.looped if weighting == "symmetric" else self.plain
        if (rows, columns) == own.shape:
            matrix = self.normalized if weighting == "symmetric" else self.adjacency
        else:
            own = leading(own, rows, columns)
            matrix = csr_tensor(own).to(self.device)
        whole = self.symmetric and rows == columns == self.plain.shape[0]
        transposed = matrix if whole else csr_tensor(own.T.tocsr()).to(self.device)
        if weighting != "mean":
            return Product(matrix, transposed)
        counts = np.maximum(np.diff(self.plain.indptr[: rows + 1]), 1).astype(np.float32)
        scale = torch.from_numpy(1 / counts)[:, None].to(self.device)
        return Product(matrix, transposed, scale)


@dataclass(frozen=True, slots=True)
class Targets:
    """The teacher's answers, indexed by node.

    Shapes:
        asked: bool [N], whether the teacher was asked about a node
        known: bool [N], whether the view has an answer about a node: it was asked, or is reached by
            edges; for a node that the teacher was tuned on, only an answer made without its label
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
    view: str  # a hop, or the name of a combination of hops
    temperature: float  # that the log-probabilities were divided by

    @property
    def classes(self) -> int:
        return self.log_probabilities.shape[1]

    def to(self, device: torch.device) -> "Targets":
        return moved(self, device)

    def required_features(self, objective: str) -> Tensor:
        """Returns the features.

        Raises:
            TeacherError: the teacher has none.
        """
        if self.features is None:
            raise TeacherError(
                f"the objective {objective!r} needs a teacher's features, which an endpoint does "
                "not provide; use kd, unlabeled, bd, ff or mixup"
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
    targets: Targets | None = None  # a teacher's answers

    def to(self, device: torch.device, whole: bool) -> "GraphData":
        """Moves the data to a device. Dense features move only if each step reads the whole graph;
        otherwise they stay, and each batch moves its own rows, as with hashed features.
        """
        if whole:
            return moved(self, device)
        if not isinstance(self.features, Tensor):
            return moved(replace(self, features=self.features.gathered()), device)
        others = moved(replace(self, features=torch.empty(0)), device)
        return replace(others, features=self.features)


def graph_data(graph: TextGraph, features: Features, targets: Targets | None = None) -> GraphData:
    """Gathers the tensors that training reads.

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
    return Edges(adjacency_matrix(adjacency), partial(normalized_adjacency, adjacency))


def leading(matrix: sparse.csr_array, rows: int, columns: int) -> sparse.csr_array:
    """The leading rows, which have no entries beyond the leading columns; nothing is copied."""
    end = matrix.indptr[rows]
    parts = matrix.data[:end], matrix.indices[:end], matrix.indptr[: rows + 1]
    return sparse.csr_array(parts, (rows, columns))


def attended(looped: sparse.csr_array) -> Attended:
    """The pairs of a matrix [N, N] with self-loops, whose row i holds what node i attends to."""
    targets = np.repeat(np.arange(looped.shape[0]), np.diff(looped.indptr))
    sources = torch.from_numpy(looped.indices.astype(np.int64))
    return Attended(looped.indptr.astype(np.int32), sources, torch.from_numpy(targets))


def adjacency_matrix(adjacency: Adjacency) -> sparse.csr_array:
    """float32 [N, N], 1 for every edge and direction."""
    ones = np.ones(len(adjacency.indices), dtype=np.float32)
    size = (adjacency.num_nodes, adjacency.num_nodes)
    return sparse.csr_array((ones, adjacency.indices, adjacency.indptr), size)


def normalized_adjacency(adjacency: Adjacency) -> sparse.csr_array:
    """float32 [N, N], with self-loops, divided by the roots of both degrees (arXiv 1609.02907)."""
    scale = 1 / np.sqrt(adjacency.degrees + 1.0)
    size = adjacency.num_nodes
    looped = adjacency_matrix(adjacency) + sparse.eye_array(size, dtype=np.float32, format="csr")
    looped.sort_indices()
    weights = np.repeat(scale, np.diff(looped.indptr)) * scale[looped.indices]
    return sparse.csr_array((weights.astype(np.float32), looped.indices, looped.indptr))


@dataclass(frozen=True, slots=True)
class Batch:
    """n nodes, the seeds first; only the seeds' outputs are read.

    Attributes:
        reach: for each layer, how many leading nodes must be computed for the seeds, or for
            neighbours that an objective also reads; empty: all

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
    """A batch in which every node is a seed."""
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
