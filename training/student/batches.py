"""The batches of training steps: the whole graph, or seeds with drawn neighbourhoods."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from training.data import Batch, Edges, GraphData, train_mask
from training.encoders.features import take_rows
from training.student.network import STUDENTS
from understudy.graph.csr import Adjacency
from understudy.graph.layers.neighborhoods import neighbor_degrees


@dataclass(frozen=True, slots=True)
class Sampling:
    hops: int  # of neighbours drawn around a seed: the student's layers plus `around`
    fanout: int  # maximum number of neighbours drawn per node and hop
    kind: str
    around: int = 0  # hops around a seed within which outputs are read


def seed_steps(
    train: NDArray[np.int64],
    others: NDArray[np.int64],
    batch_size: int,
    generator: np.random.Generator,
) -> Iterator[NDArray[np.int64]]:
    """The seeds of each step of an epoch: one pass over the other nodes, or over the training nodes
    if there are no others.

    Every step gets training nodes, in proportion to their share of all nodes, but at least a
    quarter of the step if there are enough. They are drawn in random order, repeatedly. So every
    objective has its weight in every step, as on a whole graph.
    """
    if not len(others):
        yield from parts_of(generator.permutation(train), batch_size)
        return
    share = round(batch_size * len(train) / (len(train) + len(others)))
    labeled = min(max(share, batch_size // 4, 1), len(train), max(batch_size - 1, 1))
    waiting = np.empty(0, dtype=np.int64)
    for own in parts_of(generator.permutation(others), max(batch_size - labeled, 1)):
        if len(waiting) < labeled:  # a step must not repeat a node: the rest is dropped
            waiting = generator.permutation(train)
        yield np.concatenate([waiting[:labeled], own])
        waiting = waiting[labeled:]


def parts_of(nodes: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(nodes), size):
        yield nodes[start : start + size]


def sampled_batches(
    data: GraphData,
    steps: Iterable[NDArray[np.int64]],
    sampling: Sampling,
    generator: np.random.Generator,
) -> Iterator[Batch]:
    """A batch for each step's seeds, with drawn neighbours (GraphSAGE, arXiv 1706.02216)."""
    in_train, device = train_mask(data), data.labels.device
    position = np.full(data.adjacency.num_nodes, -1, dtype=np.int64)
    for own in steps:
        nodes, pairs, around = sample(
            data.adjacency, own, sampling.hops, sampling.fanout, generator, position
        )
        index = torch.from_numpy(nodes)
        features = take_rows(data.features, index).to(device)
        index = index.to(device)
        trained = in_train[index[: len(own)]]
        positions = torch.arange(len(own), device=device)
        yield Batch(
            features=features,
            edges=sampled_edges(data.adjacency, nodes, pairs, sampling.kind).to(device),
            nodes=index,
            num_seeds=len(own),
            labels=data.labels[index],
            train=positions[trained],
            untrained=positions[~trained],
            reach=tuple(reversed(around[sampling.around : -1])),
        )


def sample(
    adjacency: Adjacency,
    seeds: NDArray[np.int64],
    hops: int,
    fanout: int,
    generator: np.random.Generator,
    position: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Draws neighbourhoods without replacement; every node is expanded once.

    Args:
        position: int64 [N], filled with -1 before and after; a buffer that calls may share.

    Returns:
        Node indices, int64 [n], seeds first, then the new nodes of each hop; pairs int64 [2, P] of
        positions (from, to); and the number of nodes within 0, 1 … hops.
    """
    if position is None:
        position = np.full(adjacency.num_nodes, -1, dtype=np.int64)
    position[seeds] = np.arange(len(seeds))
    nodes, frontier = [seeds], seeds
    count = len(seeds)
    around = [count]
    sources, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for _ in range(hops):
        drawn, owners = draw(adjacency, frontier, fanout, generator)
        fresh = np.unique(drawn[position[drawn] < 0])
        position[fresh] = count + np.arange(len(fresh))
        count += len(fresh)
        sources.append(position[drawn])
        targets.append(position[frontier][owners])
        nodes.append(fresh)
        around.append(count)
        frontier = fresh
    visited = np.concatenate(nodes)
    position[visited] = -1
    return visited, np.stack([np.concatenate(sources), np.concatenate(targets)]), around


def draw(
    adjacency: Adjacency, nodes: NDArray[np.int64], fanout: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most `fanout` neighbours of each node, and their owners (positions in `nodes`)."""
    starts = adjacency.indptr[nodes]
    lengths = adjacency.indptr[nodes + 1] - starts
    owners = np.repeat(np.arange(len(nodes)), lengths)
    first = np.cumsum(lengths) - lengths  # where each node's run starts
    rank = np.arange(len(owners)) - first[owners]
    # Shuffles each run; the first `fanout` of it are drawn.
    order = np.lexsort((generator.random(len(owners)), owners))
    kept = order[rank < fanout]
    drawn = adjacency.indices[starts[owners[kept]] + rank[kept]].astype(np.int64)
    return drawn, owners[kept]


def sampled_edges(
    adjacency: Adjacency, nodes: NDArray[np.int64], pairs: NDArray[np.int64], kind: str
) -> Edges:
    """The drawn edges in the forms that layers read, scaled to keep the expectation of sums.

    For a node of degree d with k drawn neighbours, each counts d / k times in GIN's sum and in
    GCN's normalised one; SAGE's mean and GAT's attention need no scale.
    """
    size = (len(nodes), len(nodes))
    degrees = neighbor_degrees(adjacency, nodes)
    drawn = np.bincount(pairs[1], minlength=len(nodes))
    scale = (degrees / np.maximum(drawn, 1))[pairs[1]]
    ones = np.ones(pairs.shape[1])
    summed = STUDENTS[kind].weighting == "sum"
    plain = sparse.csr_array((scale if summed else ones, (pairs[1], pairs[0])), size)
    plain.sort_indices()

    def normalized() -> sparse.csr_array:
        norm = 1 / np.sqrt(degrees + 1.0)
        weights = scale * norm[pairs[1]] * norm[pairs[0]]
        matrix = sparse.csr_array((weights, (pairs[1], pairs[0])), size)
        looped = sparse.csr_array(matrix + sparse.diags_array(norm**2))
        looped.sort_indices()
        return looped

    return Edges(plain, normalized, symmetric=False)
