"""The cost of int8 for a student, as the benchmark of the text encoder reports it."""

from dataclasses import asdict

import numpy as np

from benchmarks.encoder import gate_table, judged
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def test_the_gates_verdict_is_told_with_its_figures() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=140))
    exact = np.random.default_rng(0).normal(size=(140, graph.num_classes)).astype(np.float32)
    rounded = exact.copy()
    trained = graph.splits["train"][0]
    rounded[trained] = -rounded[trained]  # whose best label is another one then
    found = judged(graph, "sage", 0.998, exact, rounded)
    assert asdict(found) | {"precision": "int8", "cosine": 0.998, "same_label": 139 / 140} == (
        asdict(found)
    )
    assert "| 99.29% | yes |" in gate_table([found])
