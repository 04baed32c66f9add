"""A teacher's answers, smoothed over the edges: what neighbours were answered is evidence, too.

The second step of Correct and Smooth (arXiv 2010.13993, section 2.3): training nodes' answers are
replaced by their labels, and Z = a A Z + (1 - a) F spreads them, A being the adjacency with
self-loops, normalised as GCN's. A prompt shows some words of some neighbours; this reads the
answers about all of them, and theirs. It needs no model, and takes seconds.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from graph import TextGraph
from graph.progress import Progress, silent
from training.data import labeled_members, normalized_adjacency
from training.teachers.folder import HopAnswers
from training.teachers.scores import views

FACTORS = (0.5, 0.8, 0.9)  # how much of an answer is the neighbours'; the best is kept
REMAINDER = 0.01  # of a starting value's way to the limit, after the last step
FLOOR = 1e-6  # of a probability

log = logging.getLogger(__name__)


def with_smoothed_view(
    graph: TextGraph, hops: Sequence[int], answers: HopAnswers, progress: Progress = silent
) -> HopAnswers:
    """Adds the smoothed answers of one view, the view and the factor chosen on validation.

    Answers about no labelled validation node, by which to choose, stay as they are.
    """
    validation = np.isin(answers.nodes, labeled_members(graph, "val").numpy())
    labels = graph.labels[answers.nodes[validation]]
    if not len(labels):
        return answers
    adjacency = normalized_adjacency(graph.adjacency)
    best = -1.0
    tried = list(product(views(hops, answers).items(), FACTORS))
    for number, ((view, values), factor) in enumerate(tried):
        found = smoothed(graph, adjacency, answers.nodes, values, factor)
        accuracy = float((found[validation].argmax(axis=1) == labels).mean())
        if accuracy > best:
            best, chosen, kept = accuracy, (view, factor), found
        progress("Smoothing the teacher's answers", number + 1, len(tried))
    log.info("smoothed the view %s by %.1f", *chosen)
    return replace(answers, smoothed=kept)


def smoothed(
    graph: TextGraph,
    adjacency: sparse.csr_array,
    nodes: NDArray[np.int64],
    log_probabilities: NDArray[np.float32],
    factor: float,
) -> NDArray[np.float32]:
    """Log-probabilities float32 [M, C] about `nodes` [M]; the graph's other nodes only pass on
    what reaches them.
    """
    start = np.zeros((graph.num_nodes, graph.num_classes), dtype=np.float32)
    start[nodes] = np.exp(log_probabilities)
    train = labeled_members(graph, "train").numpy()
    start[train] = np.eye(graph.num_classes, dtype=np.float32)[graph.labels[train]]
    values = start
    for _ in range(math.ceil(math.log(REMAINDER) / math.log(factor))):
        values = factor * (adjacency @ values) + (1 - factor) * start
    asked = np.maximum(values[nodes], FLOOR * values[nodes].sum(axis=1, keepdims=True))
    result: NDArray[np.float32] = np.log(asked / asked.sum(axis=1, keepdims=True))
    return result
