"""A teacher's answers, smoothed over the edges: what neighbours were answered is evidence, too.

The second step of Correct and Smooth (arXiv 2010.13993, section 2.3): training nodes' answers are
replaced by their labels, and Z = a A Z + (1 - a) F spreads them, A being the adjacency with
self-loops, normalised as GCN's. A prompt shows some words of some neighbours; this reads the
answers about all of them, and theirs, and has something to say about nodes that nobody asked about.
It needs no model, and takes seconds.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from scipy import sparse

from training.adjacency import normalized_adjacency
from training.teacher.answers.folder import HopAnswers, View
from training.teacher.answers.views import right_answers, views
from training.trainable import labeled_nodes
from understudy.graph import TextGraph
from understudy.graph.progress import Progress, silent

FACTORS = (0.5, 0.8, 0.9)  # how much of an answer is the neighbours'; the best is kept
REMAINDER = 0.01  # of a starting value's way to the limit, after the last step
FLOOR = 1e-6  # of a probability
FAINT = 1e-9  # of what reaches a node: less says nothing

log = logging.getLogger(__name__)


def with_smoothed_view(
    graph: TextGraph, hops: Sequence[int], answers: HopAnswers, progress: Progress = silent
) -> HopAnswers:
    """Adds the smoothed answers of one view, the view and the factor chosen on validation.

    They are about every node that an asked or a training node reaches, asked or not. Where none is
    right about a validation node, so that nothing can be chosen, there are none.
    """
    adjacency = normalized_adjacency(graph.adjacency)
    best = 0
    tried = list(product(views(hops, answers).items(), FACTORS))
    for number, ((name, view), factor) in enumerate(tried):
        found = smoothed(graph, adjacency, view, factor)
        right = right_answers(graph, found, "val")
        if right > best:
            best, answers = right, replace(answers, smoothed=found)
            log.info("smoothing %s by %.1f is right about %d", name, factor, right)
        progress("Smoothing the teacher's answers", number + 1, len(tried))
    return answers


def smoothed(graph: TextGraph, adjacency: sparse.csr_array, view: View, factor: float) -> View:
    """What a view and the training labels say about all nodes that they reach."""
    start = np.zeros((graph.num_nodes, graph.num_classes), dtype=np.float32)
    start[view.nodes] = np.exp(view.log_probabilities)
    train = labeled_nodes(graph, "train")
    start[train] = np.eye(graph.num_classes, dtype=np.float32)[graph.labels[train]]
    values = start
    for _ in range(math.ceil(math.log(REMAINDER) / math.log(factor))):
        values = factor * (adjacency @ values) + (1 - factor) * start
    mass = values.sum(axis=1)
    nodes = np.flatnonzero(mass > FAINT)
    shares = np.maximum(values[nodes] / mass[nodes, None], FLOOR)
    return View(nodes, np.log(shares / shares.sum(axis=1, keepdims=True)))
