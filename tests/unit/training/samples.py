"""A small graph with an invented teacher that knows the labels, with some noise."""

from dataclasses import replace

import numpy as np
import torch

from training.data import GraphData, graph_data
from training.teacher.answers.folder import HopAnswers
from training.teacher.answers.views import make_targets
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.graph.text_graph import TextGraph

NODES, CLASSES, WIDTH, TEACHER_WIDTH = 90, 3, 12, 10


def small_graph() -> TextGraph:
    return synthetic_graph(SyntheticOptions(nodes=NODES, classes=CLASSES, mean_degree=6.0))


def small_answers(graph: TextGraph, features: bool = True) -> HopAnswers:
    generator = np.random.default_rng(0)
    signal = 2.0 * np.eye(CLASSES)[graph.labels]
    logits = torch.from_numpy(signal + generator.normal(size=(3, NODES, CLASSES)))
    shown = generator.normal(size=(3, NODES, TEACHER_WIDTH)).astype(np.float16)
    shown[:, :, :CLASSES] += signal.astype(np.float16)
    log_probabilities = logits.log_softmax(2).numpy().astype(np.float32)
    return HopAnswers(np.arange(NODES), log_probabilities, shown if features else None)


def noisy_answers(graph: TextGraph) -> HopAnswers:
    """Right more often than not, independently of the edges."""
    generator = np.random.default_rng(0)
    logits = np.eye(CLASSES)[graph.labels] + 1.2 * generator.normal(size=(3, NODES, CLASSES))
    logits -= np.log(np.exp(logits).sum(axis=2, keepdims=True))
    return HopAnswers(np.arange(NODES), logits.astype(np.float32))


def small_data(teacher: bool = True, features: bool = True) -> GraphData:
    """Features of width 12 that tell a little of the label."""
    graph = small_graph()
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(NODES, WIDTH, generator=generator)
    values[:, :CLASSES] += torch.from_numpy(np.eye(CLASSES)[graph.labels]).float()
    data = graph_data(graph, values)
    if not teacher:
        return data
    return replace(data, targets=make_targets(graph, (0, 1, 2), small_answers(graph, features)))
