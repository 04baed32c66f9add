"""Baselines without a teacher, which are reported next to it."""

import numpy as np

from training.data import normalized_adjacency
from training.teacher.answers.folder import View
from training.teacher.answers.smoothing import FACTORS, smoothed
from training.teacher.answers.views import right_answers
from understudy.graph import TextGraph
from understudy.graph.splits import labeled_nodes

CHANCE, PROPAGATION = "chance", "propagation"
BASELINES = {
    CHANCE: "the most frequent label alone",
    PROPAGATION: "labels spread over edges, no teacher",
}


def baseline_metrics(graph: TextGraph) -> dict[str, float]:
    """Accuracy on validation and test, as val_chance and so on, of two baselines: the training
    split's most frequent label, and training labels spread over the edges with the factor that is
    best on validation. Nodes that they do not reach get the most frequent label.
    """
    nodes = np.arange(graph.num_nodes, dtype=np.int64)
    counts = np.bincount(graph.labels[labeled_nodes(graph, "train")], minlength=graph.num_classes)
    frequent = (np.arange(graph.num_classes) == counts.argmax()).astype(np.float32)
    chance = View(nodes, np.tile(frequent, (len(nodes), 1)))
    adjacency = normalized_adjacency(graph.adjacency)
    silent = View(nodes[:0], chance.log_probabilities[:0])
    spread = [filled(chance, smoothed(graph, adjacency, silent, factor)) for factor in FACTORS]
    best = max(spread, key=lambda view: right_answers(graph, view, "val"))
    return {
        f"{split}_{name}": right_answers(graph, view, split) / count
        for split in ("val", "test")
        for name, view in ((CHANCE, chance), (PROPAGATION, best))
        if (count := len(labeled_nodes(graph, split)))
    }


def filled(everywhere: View, some: View) -> View:
    """A view of all nodes, overwritten by another view of some of them."""
    values = everywhere.log_probabilities.copy()
    values[some.nodes] = some.log_probabilities
    return View(everywhere.nodes, values)
