"""Attention over neighbours (GAT, arXiv 1710.10903, eq. 3 and 4) as one sparse product per head.

Every row is mapped once, as a node or as a neighbour, and the mapped rows are summed by attention,
without padding. That is the fastest exact form on a CPU if there are not many more rows than nodes,
as in a pass over a whole graph; otherwise it is faster to sum neighbours first.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.graph.layers.neighborhoods import Neighborhoods
from understudy.graph.layers.sparse import weighted_sums

MAX_ROWS_A_NODE = 2  # rows mapped per requested node; above it, gathering is faster
SLOPE = np.float32(0.2)  # of the leaky ReLU, as in the paper

Run = Callable[[Mapping[str, NDArray[np.generic]]], NDArray[np.float32]]


class AttentionParts(Protocol):
    """The two networks of a layer.

    `project` takes h [B, d] and gives the concatenation of the mapped rows [B, d'] and the score
    parts of a source and of a target, [B, H] each; d' is the width of h. `finish` takes h and
    aggregated [B, d'].
    """

    project: Run
    finish: Run


def pays(neighborhoods: Neighborhoods, table_rows: int) -> bool:
    """Whether this form is faster than gathering."""
    count = len(neighborhoods)
    return count > 1 and min(len(neighborhoods.indices), table_rows) <= MAX_ROWS_A_NODE * count


def attend(
    project: Run,
    h: NDArray[np.float32],
    table: NDArray[np.float32],
    neighborhoods: Neighborhoods,
) -> NDArray[np.float32]:
    """The attention-weighted sums of the mapped neighbours and of the nodes themselves.

    Shapes:
        h: float32 [B, d]; table: float32 [M, d]
        returns: float32 [B, d]
    """
    indices = neighborhoods.indices
    if len(indices) < len(table):  # map only the neighbours
        table, indices = table[indices], np.arange(len(indices))
        neighborhoods = Neighborhoods(neighborhoods.indptr, indices, neighborhoods.degrees)
    own = split(project({"h": h}), h.shape[1])
    other = own if table is h else split(project({"h": table}), h.shape[1])
    shares, own_shares = softmax(own, other, neighborhoods)
    heads = shares.shape[1]
    width = h.shape[1] // heads
    result = np.empty_like(h)
    for head in range(heads):
        columns = slice(head * width, (head + 1) * width)
        values = np.ascontiguousarray(other[0][:, columns])
        share = np.ascontiguousarray(shares[:, head])
        sums = weighted_sums(values, neighborhoods, share)
        result[:, columns] = sums + own_shares[:, head, None] * own[0][:, columns]
    return result


Projected = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def split(projected: NDArray[np.float32], width: int) -> Projected:
    """Mapped rows [B, d'], and the score parts of a source and of a target, [B, H] each."""
    heads = (projected.shape[1] - width) // 2
    return projected[:, :width], projected[:, width : width + heads], projected[:, width + heads :]


def softmax(
    own: Projected, other: Projected, neighborhoods: Neighborhoods
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The attention of each neighbour, float32 [E, H], and of each node itself, float32 [B, H]."""
    degrees = neighborhoods.self_degrees
    owner = np.repeat(np.arange(len(degrees)), degrees)
    scores = leaky(other[1][neighborhoods.indices] + own[2][owner])
    own_scores = leaky(own[1] + own[2])
    filled = np.flatnonzero(degrees)
    starts = neighborhoods.indptr[filled]  # `reduceat` mishandles empty rows
    top = own_scores.copy()
    if len(filled):
        top[filled] = np.maximum(top[filled], np.maximum.reduceat(scores, starts, axis=0))
    scores = np.exp(scores - top[owner])
    own_scores = np.exp(own_scores - top)
    totals = own_scores.copy()
    if len(filled):
        totals[filled] += np.add.reduceat(scores, starts, axis=0)
    return scores / totals[owner], own_scores / totals


def leaky(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.maximum(values, SLOPE * values))
