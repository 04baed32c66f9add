"""What one step reads: the whole graph, or seeds with drawn neighbourhoods."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from training.data import Batch, Edges, GraphData, attended, train_mask
from training.encoders.features import csr_tensor, take_rows
from training.student.network import STUDENTS
from understudy.graph.csr import Adjacency


@dataclass(frozen=True, slots=True)
class Sampling:
    hops: int  # of neighbours drawn around a seed: the student's layers
    fanout: int  # neighbours drawn of a node and hop, at most
    batch_size: int  # seeds
    kind: str


def sampled_batches(
    data: GraphData, seeds: Tensor, sampling: Sampling, generator: np.random.Generator
) -> Iterator[Batch]:
    """One pass over the seeds in random order, a batch at a time (GraphSAGE, arXiv 1706.02216)."""
    order = generator.permutation(seeds.numpy())
    in_train = train_mask(data)
    for start in range(0, len(order), sampling.batch_size):
        own = order[start : start + sampling.batch_size]
        nodes, pairs = sample(data.adjacency, own, sampling.hops, sampling.fanout, generator)
        index = torch.from_numpy(nodes)
        trained = in_train[index[: len(own)]]
        positions = torch.arange(len(own))
        yield Batch(
            features=take_rows(data.features, index),
            edges=sampled_edges(data.adjacency, nodes, pairs, sampling.kind),
            nodes=index,
            num_seeds=len(own),
            labels=data.labels[index],
            train=positions[trained],
            untrained=positions[~trained],
        )


def sample(
    adjacency: Adjacency,
    seeds: NDArray[np.int64],
    hops: int,
    fanout: int,
    generator: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draws neighbourhoods without replacement; every node is expanded once.

    Returns:
        Node indices, int64 [n], seeds first; and pairs int64 [2, P] of positions: (from, to).
    """
    position = np.full(adjacency.num_nodes, -1, dtype=np.int64)
    position[seeds] = np.arange(len(seeds))
    nodes, frontier = [seeds], seeds
    count, sources, targets = len(seeds), [], []
    for _ in range(hops):
        drawn, owners = draw(adjacency, frontier, fanout, generator)
        fresh = np.unique(drawn[position[drawn] < 0])
        position[fresh] = count + np.arange(len(fresh))
        count += len(fresh)
        sources.append(position[drawn])
        targets.append(position[frontier][owners])
        nodes.append(fresh)
        frontier = fresh
    return np.concatenate(nodes), np.stack([np.concatenate(sources), np.concatenate(targets)])


def draw(
    adjacency: Adjacency, nodes: NDArray[np.int64], fanout: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most `fanout` neighbours of each node, and whose they are (positions in `nodes`)."""
    starts = adjacency.indptr[nodes]
    lengths = adjacency.indptr[nodes + 1] - starts
    owners = np.repeat(np.arange(len(nodes)), lengths)
    first = np.cumsum(lengths) - lengths  # where each node's run starts
    rank = np.arange(len(owners)) - first[owners]
    # In each run, a random order; what comes before `fanout` in it is drawn.
    order = np.lexsort((generator.random(len(owners)), owners))
    kept = order[rank < fanout]
    drawn = adjacency.indices[starts[owners[kept]] + rank[kept]].astype(np.int64)
    return drawn, owners[kept]


def sampled_edges(
    adjacency: Adjacency, nodes: NDArray[np.int64], pairs: NDArray[np.int64], kind: str
) -> Edges:
    """The drawn edges in the forms that layers read, scaled so that sums keep their expectation.

    A node of degree d with k drawn neighbours counts each d / k times, for GIN's sum and for
    GCN's normalised one; SAGE's mean and GAT's attention need no scale.
    """
    size = (len(nodes), len(nodes))
    degrees = adjacency.degrees[nodes]
    drawn = np.bincount(pairs[1], minlength=len(nodes))
    scale = (degrees / np.maximum(drawn, 1))[pairs[1]]
    ones = np.ones(pairs.shape[1])
    summed = STUDENTS[kind].weighting == "sum"
    plain = sparse.csr_array((scale if summed else ones, (pairs[1], pairs[0])), size)
    norm = 1 / np.sqrt(degrees + 1.0)
    weights = scale * norm[pairs[1]] * norm[pairs[0]]
    normalized = sparse.csr_array((weights, (pairs[1], pairs[0])), size)
    normalized = sparse.csr_array(normalized + sparse.diags_array(norm**2))
    for matrix in (plain, normalized):
        matrix.sort_indices()
    order = np.lexsort((pairs[0], pairs[1]))
    return Edges(
        csr_tensor(plain),
        csr_tensor(normalized),
        attended(normalized),
        torch.from_numpy(pairs[:, order]),
    )
