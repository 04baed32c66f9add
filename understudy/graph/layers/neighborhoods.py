"""Neighbourhoods as padded blocks, the input of exported layers, which avoid scattering.

A layer's exported form takes, for B nodes, an index matrix [B, K] into a table of activations and a
weight matrix [B, K]; the weights implement the architecture's aggregation. Nodes are bucketed by
degree, in powers of two, so that a single hub does not pad all others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency
from understudy.graph.ragged import ends, positions

Weighting = Literal["mean", "sum", "symmetric", "mask", "none"]
Scalar = TypeVar("Scalar", np.int64, np.int32, np.float32)

# One block gathers at most this many table rows: at width 256 and float32, 32 MiB.
MAX_BLOCK_CELLS = 32_768
# A run costs about as much as this many padded cells, so smaller blocks are merged.
CELLS_A_RUN = 512
ONE_ROW = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Neighborhoods:
    """The neighbours of B nodes, ragged.

    Shapes:
        indptr: int64 [B + 1]
        indices: int64 [E], rows of the table
        degrees: int64 [E], the neighbours' degrees in the stored graph
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    degrees: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def self_degrees(self) -> NDArray[np.int64]:
        return np.diff(self.indptr)


@dataclass(frozen=True, slots=True)
class Block:
    """The padded neighbourhoods of some of the nodes; padding has index 0 and weight 0.

    Shapes:
        rows: int64 [B'], positions among the B requested nodes
        index: int64 [B', K]
        weight: float32 [B', K]
        self_weight: float32 [B', 1], weight of the node's own activation, if it aggregates itself
    """

    rows: NDArray[np.int64]
    index: NDArray[np.int64]
    weight: NDArray[np.float32]
    self_weight: NDArray[np.float32]


def stored_neighborhoods(adjacency: Adjacency, nodes: NDArray[np.int64]) -> Neighborhoods:
    """The neighbourhoods of stored nodes (int64 [B])."""
    starts = adjacency.indptr[nodes]
    indptr = ends(adjacency.indptr[nodes + 1] - starts)
    indices = adjacency.indices[positions(starts, indptr)].astype(np.int64)
    return Neighborhoods(indptr, indices, neighbor_degrees(adjacency, indices))


def unseen_neighborhoods(
    adjacency: Adjacency, neighbors: Sequence[NDArray[np.int64]]
) -> Neighborhoods:
    """The neighbourhoods of nodes that are not stored, from their neighbours' indices.

    Stored nodes do not see the new ones, so their degrees stay as they are.
    """
    indptr = ends(np.array([len(row) for row in neighbors], np.int64))
    indices = np.concatenate([np.empty(0, np.int64), *neighbors])
    return Neighborhoods(indptr, indices, neighbor_degrees(adjacency, indices))


def neighbor_degrees(adjacency: Adjacency, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    return adjacency.indptr[nodes + 1] - adjacency.indptr[nodes]


def edge_weights(
    neighborhoods: Neighborhoods, weighting: Weighting
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights of the neighbours, float32 [E], and of the nodes themselves, float32 [B].

    - mean: 1 / d_i (GraphSAGE, arXiv 1706.02216)
    - sum: 1 (GIN, arXiv 1810.00826)
    - symmetric: 1 / sqrt((d_i + 1)(d_j + 1)), with a self-loop (GCN, arXiv 1609.02907, eq. 2)
    - mask: 1 where there is a neighbour; attention weighs them inside the layer (GAT)
    """
    own = neighborhoods.self_degrees
    if weighting == "mean":
        weights = np.repeat(1.0 / np.maximum(own, 1), own)
    elif weighting == "symmetric":
        weights = 1.0 / np.sqrt(np.repeat(own + 1, own) * (neighborhoods.degrees + 1.0))
    else:
        weights = np.ones(len(neighborhoods.indices))
    self_weights = 1.0 / (own + 1.0) if weighting == "symmetric" else np.ones(len(own))
    return weights.astype(np.float32), self_weights.astype(np.float32)


def padded_blocks(
    neighborhoods: Neighborhoods,
    weighting: Weighting,
    max_cells: int = MAX_BLOCK_CELLS,
) -> Iterator[Block]:
    """Yields padded blocks that together contain every node once.

    Args:
        max_cells: maximum number of cells in a block, unless a single node has more.
    """
    weights, self_weights = edge_weights(neighborhoods, weighting)
    if len(neighborhoods) == 1 and len(weights):  # the usual request; needs no padding
        yield Block(ONE_ROW, neighborhoods.indices[None], weights[None], self_weights[:, None])
        return
    own = neighborhoods.self_degrees
    widths = merged_widths(padded_widths(own))
    for width in np.unique(widths).tolist():
        members = np.flatnonzero(widths == width)
        step = max(1, max_cells // width)
        for start in range(0, len(members), step):
            rows = members[start : start + step]
            filled = np.arange(width) < own[rows, None]  # [B', K]
            position = np.where(filled, neighborhoods.indptr[rows, None] + np.arange(width), 0)
            yield Block(
                rows=rows,
                index=take_padded(neighborhoods.indices, position, filled),
                weight=take_padded(weights, position, filled),
                self_weight=self_weights[rows, None],
            )


def padded_widths(degrees: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [B]: each degree rounded up to a power of two, at least 1."""
    exponents = np.ceil(np.log2(np.maximum(degrees, 1))).astype(np.int64)
    return np.left_shift(np.int64(1), exponents)


def merged_widths(widths: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [B]: the widths, or the next wider one if merging its block adds little padding."""
    distinct, group, counts = np.unique(widths, return_inverse=True, return_counts=True)
    merged, start = distinct.copy(), 0
    for number, wider in enumerate(distinct[1:].tolist(), start=1):
        if int((counts[start:number] * (wider - distinct[start:number])).sum()) > CELLS_A_RUN:
            start = number
        merged[start:number] = wider
    return merged[group]


def take_padded(
    values: NDArray[Scalar], position: NDArray[np.int64], filled: NDArray[np.bool_]
) -> NDArray[Scalar]:
    """`values[position]` where filled, otherwise 0; shape [B', K]."""
    if len(values) == 0:
        return np.zeros(position.shape, dtype=values.dtype)
    taken = values[position]
    taken[~filled] = 0
    return taken
