"""The receptive field of some nodes' logits, as inputs of one network (student.onnx).

Layer l computes n(l) nodes from the m(l) = n(l-1) nodes of the layer below; below layer 1 are the
nodes whose features are read. A node's neighbours are cut into rows of K. A second step sums the
additional rows of the few nodes that need more than one, so that a hub of 10,000 neighbours neither
pads all others nor exhausts memory.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from understudy.graph.csr import Adjacency
from understudy.graph.layers.neighborhoods import (
    Neighborhoods,
    Weighting,
    edge_weights,
    stored_neighborhoods,
    take_padded,
)

Number = TypeVar("Number", bound=np.generic)

MAX_WIDTH = 256  # of a row of neighbours


@dataclass(frozen=True, slots=True)
class Hop:
    """The inputs of one layer. Positions refer to the node list of the layer below.

    Shapes:
        own: int64 [n], the positions of the nodes themselves
        index: int64 [R, K], the positions of neighbours, padded with 0
        weight: float32 [R, K], padded with 0; the last row is all padding
        owner: int64 [R], the node, of n, that a row belongs to
        more: int64 [G, P], a hub's rows after its first, padded with R - 1
        pair: int64 [n, 2], a node's first row and R + its hub's row in `more`, or R - 1
        self_weight: float32 [n, 1], weight of the node's own activation, if it aggregates itself
    """

    own: NDArray[np.int64]
    index: NDArray[np.int64]
    weight: NDArray[np.float32]
    owner: NDArray[np.int64]
    more: NDArray[np.int64]
    pair: NDArray[np.int64]
    self_weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Shapes: nodes: int64 [M], distinct, those whose features are read; hops: one per layer."""

    nodes: NDArray[np.int64]
    hops: tuple[Hop, ...]

    def feeds(self) -> dict[str, NDArray[np.generic]]:
        """All inputs of student.onnx except the features, by name: own1, index1 … of layer 1."""
        return {
            f"{name}{number}": getattr(hop, name)
            for number, hop in enumerate(self.hops, start=1)
            for name in Hop.__slots__
        }


def receptive_field(
    adjacency: Adjacency, seeds: NDArray[np.int64], layers: int, weighting: Weighting
) -> ReceptiveField:
    """The receptive field of some nodes (int64 [B], at least one), whose logits come in order."""
    hops: list[Hop] = []
    nodes = seeds
    for _ in range(layers if weighting != "none" else 0):
        near = stored_neighborhoods(adjacency, nodes)
        below = np.unique(np.concatenate([nodes, near.indices]))
        hops.append(make_hop(near, below, np.searchsorted(below, nodes), weighting))
        nodes = below
    return ReceptiveField(nodes, tuple(reversed(hops)))


def make_hop(
    near: Neighborhoods, below: NDArray[np.int64], own: NDArray[np.int64], weighting: Weighting
) -> Hop:
    degrees = near.self_degrees
    width = row_width(degrees)
    counts = row_counts(degrees, width)
    starts = np.cumsum(counts) - counts
    blank = int(counts.sum())  # index of the last row
    rank = np.arange(blank) - np.repeat(starts, counts)  # of a row among its node's rows
    owner = np.repeat(np.arange(len(degrees)), counts)
    column = rank[:, None] * width + np.arange(width)
    filled = column < degrees[owner, None]
    position = np.where(filled, near.indptr[owner, None] + column, 0)
    weights, self_weights = edge_weights(near, weighting)
    more, pair = further_rows(starts, counts, blank)
    return Hop(
        own=own,
        index=with_blank(take_padded(np.searchsorted(below, near.indices), position, filled)),
        weight=with_blank(take_padded(weights, position, filled)),
        owner=np.append(owner, 0),
        more=more,
        pair=pair,
        self_weight=self_weights[:, None],
    )


def row_width(degrees: NDArray[np.int64]) -> int:
    """The power of two that needs the least padding over both steps."""

    def cells(width: int) -> int:
        further = row_counts(degrees, width) - 1
        second = int((further > 0).sum()) * int(further.max(initial=0))
        return int(further.sum() + len(degrees)) * width + second

    widths = [1]
    while widths[-1] < min(MAX_WIDTH, int(degrees.max(initial=1))):
        widths.append(2 * widths[-1])
    return min(widths, key=cells)


def row_counts(degrees: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    return np.maximum(-(-degrees // width), 1)


def further_rows(
    starts: NDArray[np.int64], counts: NDArray[np.int64], blank: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`Hop.more` and `Hop.pair`; `more` has at least one row, so that no axis is empty."""
    hubs = np.flatnonzero(counts > 1)
    step = np.arange(max(int(counts.max(initial=1)) - 1, 1))
    more = np.where(step < counts[hubs, None] - 1, starts[hubs, None] + 1 + step, blank)
    if len(hubs) == 0:
        more = np.full((1, 1), blank)
    second = np.full(len(starts), blank)
    second[hubs] = blank + 1 + np.arange(len(hubs))
    return more, np.stack([starts, second], axis=1)


def with_blank(rows: NDArray[Number]) -> NDArray[Number]:
    """Appends a row of zeros."""
    return np.concatenate([rows, np.zeros((1, rows.shape[1]), rows.dtype)])
