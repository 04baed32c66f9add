"""Comparisons that tests of changes share."""

import numpy as np

from tests.bundles import TinyBundle, reference_activations
from understudy.engine import Engine
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.text_graph import TextGraph


def assert_exact(engine: Engine, bundle: TinyBundle) -> None:
    """The stored logits are those of a computation on the graph as it is."""
    state = engine.state
    expected = reference_activations(bundle.weights, to_text_graph(state.graph))[-1]
    np.testing.assert_allclose(state.logits(state.graph.live_rows()), expected, atol=1e-4)


def ids_of(engine: Engine) -> set[str]:
    graph = engine.state.graph
    return {graph.id(row) for row in graph.live_rows().tolist()}


def described(graph: TextGraph) -> tuple[dict[str, tuple[str, int]], set[frozenset[str]]]:
    """Nodes and edges by their ids: rows may differ."""
    ids = graph.ids.to_pylist()
    values = zip(graph.texts.to_pylist(), graph.labels.tolist(), strict=True)
    edges = {frozenset((ids[a], ids[b])) for a, b in graph.adjacency.edges().tolist()}
    return dict(zip(ids, values, strict=True)), edges
