"""A small part of the graph around a node, for drawing."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from understudy.graph.mutable.view import GraphView

Rows = NDArray[np.integer]
COMPARED = 400  # maximum number of neighbours that are compared with the node


def surroundings(
    view: GraphView, row: int, limit: int, beside: Sequence[int] = ()
) -> tuple[list[int], list[tuple[int, int]]]:
    """A node, some of its neighbours, and the edges among these and others that are shown.

    If there are many neighbours, those that share the most neighbours with the node, relative to
    their own number, come first (Salton's index): they are similar to it, and their drawing shows
    more than spokes.

    Args:
        limit: maximum number of neighbours, in addition to those already shown.
        beside: rows that are already shown.

    Returns:
        The node's row and its neighbours'; and the edges, each once, with its smaller row first.
    """
    near = view.neighbors(row).astype(np.int64)
    others = near[~np.isin(near, np.array(beside, dtype=np.int64))]
    chosen = others[np.argsort(-kinship(view, near, others), kind="stable")[:limit]].tolist()
    shown = np.unique(np.array([row, *chosen, *beside], dtype=np.int64))
    edges = [
        (first, second)
        for first in shown.tolist()
        for second in linked_among(view.neighbors(first), shown[shown > first]).tolist()
    ]
    return [row, *chosen], edges


def kinship(
    view: GraphView, near: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The similarity of nodes to one whose neighbours are `near` (int64 [D], sorted); float64 [B].

    Of more than `COMPARED` nodes, a sample across all degrees is compared; the rest get 0.
    """
    degrees = view.degrees(others)
    shared = np.zeros(len(others))
    places = np.argsort(degrees, kind="stable")
    if len(places) > COMPARED:
        places = places[np.linspace(0, len(places) - 1, COMPARED).astype(np.int64)]
    for place in places.tolist():
        own = view.neighbors(int(others[place]))
        few, many = (own, near) if len(own) < len(near) else (near, own)
        shared[place] = len(linked_among(many, few)) / np.sqrt(max(int(degrees[place]), 1))
    return shared


def linked_among(near: Rows, rows: Rows) -> Rows:
    """The rows that are among a node's neighbours, which are sorted and may be many."""
    if len(near) == 0:
        return rows[:0]
    places = near.searchsorted(rows)
    places[places == len(near)] = 0
    linked: Rows = rows[near[places] == rows]
    return linked
