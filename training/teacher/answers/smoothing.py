"""Smooths a teacher's answers over the edges, because the neighbours' answers are evidence, too.

This is the second step of Correct and Smooth (arXiv 2010.13993, section 2.3): training nodes'
answers are replaced by their labels, and Z = a A Z + (1 - a) F spreads them, where A is the
adjacency with self-loops, normalised as in GCN. A prompt shows parts of some neighbours; smoothing
uses the answers about all neighbours, and theirs, and covers nodes that were not asked about. It
needs no model, and takes seconds.

A training node's own label is in a student's loss anyway, and would hide the teacher's answer. So
the answers kept about training nodes are computed in folds: for each fold, from the labels of the
other nodes and from the teacher's own answers about the fold. A node that the transformer was tuned
on has no such answer, so only its neighbours count.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.data import normalized_adjacency
from training.folds import training_folds
from training.teacher.answers.folder import HopAnswers, View
from training.teacher.answers.views import right_answers, views
from understudy.graph import TextGraph
from understudy.graph.splits import labeled_nodes
from understudy.progress import Progress, silent

FACTORS = (0.5, 0.8, 0.9)  # weight of the neighbours; the best is kept
REMAINDER = 0.01  # of a starting value's distance to the limit, after the last step
FLOOR = 1e-6  # of a probability
FAINT = 1e-9  # mass that reaches a node, below which it counts as unreached

log = logging.getLogger(__name__)


def with_smoothed_view(
    graph: TextGraph, hops: Sequence[int], answers: HopAnswers, progress: Progress = silent
) -> HopAnswers:
    """Adds the smoothed answers of one view; view and factor are chosen on validation.

    They cover every node that an asked or a training node reaches. If no combination is right about
    any validation node, so that nothing can be chosen, the answers stay as they are.
    """
    adjacency = normalized_adjacency(graph.adjacency)
    best: tuple[int, View, float] | None = None
    tried = list(product(views(hops, answers).items(), FACTORS))
    for number, ((name, view), factor) in enumerate(tried):
        right = right_answers(graph, smoothed(graph, adjacency, view, factor), "val")
        if right > (best[0] if best else 0):
            best = right, view, factor
            log.info("smoothing %s by %.1f is right about %d", name, factor, right)
        progress("Smoothing the teacher's answers", number + 1, len(tried))
    if best is None:
        return answers
    return replace(answers, smoothed=smoothed_out_of_fold(graph, adjacency, *best[1:], answers))


def smoothed(graph: TextGraph, adjacency: sparse.csr_array, view: View, factor: float) -> View:
    """Smooths a view and the training labels, over all nodes that they reach; for a training node
    this includes its own label.
    """
    start = probabilities_of(graph, view)
    clamp(graph, start, labeled_nodes(graph, "train"))
    return as_view(spread(adjacency, start, factor))


def smoothed_out_of_fold(
    graph: TextGraph, adjacency: sparse.csr_array, view: View, factor: float, answers: HopAnswers
) -> View:
    """Like `smoothed`, without using a training node's label for the answer about itself."""
    train = labeled_nodes(graph, "train")
    folds = training_folds(graph, train)
    unclamped = probabilities_of(graph, view)
    unclamped[answers.tuned] = 0.0
    start = unclamped.copy()
    clamp(graph, start, train)
    values = spread(adjacency, start, factor)
    for fold in np.unique(folds):
        own = train[folds == fold]
        start[own] = unclamped[own]
        values[own] = spread(adjacency, start, factor)[own]
        clamp(graph, start, own)
    return as_view(values)


def probabilities_of(graph: TextGraph, view: View) -> NDArray[np.float32]:
    """A view's probabilities for all nodes, float32 [N, C]; 0 for nodes that it does not cover."""
    values = np.zeros((graph.num_nodes, graph.num_classes), dtype=np.float32)
    values[view.nodes] = np.exp(view.log_probabilities)
    return values


def clamp(graph: TextGraph, values: NDArray[np.float32], nodes: NDArray[np.int64]) -> None:
    """Replaces the answers about nodes, [N, C], by their labels."""
    values[nodes] = np.eye(graph.num_classes, dtype=np.float32)[graph.labels[nodes]]


def spread(
    adjacency: sparse.csr_array, start: NDArray[np.float32], factor: float
) -> NDArray[np.float32]:
    """The limit of Z = a A Z + (1 - a) F, up to `REMAINDER`; float32 [N, C]."""
    values, again = start, (1 - factor) * start
    for _ in range(math.ceil(math.log(REMAINDER) / math.log(factor))):
        values = adjacency @ values
        values *= factor
        values += again
    return values


def as_view(values: NDArray[np.float32]) -> View:
    """Normalises what reaches each node; leaves out unreached nodes."""
    mass = values.sum(axis=1)
    nodes = np.flatnonzero(mass > FAINT)
    shares = np.maximum(values[nodes] / mass[nodes, None], FLOOR)
    return View(nodes, np.log(shares / shares.sum(axis=1, keepdims=True)))
