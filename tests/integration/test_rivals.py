"""The rivals of the benchmarks give the same answers as the engine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.peer import NodeBody
from benchmarks.peers.predictor import Predictor
from benchmarks.peers.recomputed_graph import Change, RecomputedGraph
from benchmarks.serving.questions import Questions
from tests.benchmark_bundles import bundle_and_student
from tests.student_bundles import hub_graph
from training.config import StudentKind
from understudy.engine import Engine, Node
from understudy.graph.mutations import AddEdge, RemoveEdge

TOLERANCE = 1e-4


def engine_scores(engine: Engine, nodes: Sequence[NodeBody]) -> list[list[float]]:
    asked = [Node(**{**node, "neighbors": tuple(node.get("neighbors", ()))}) for node in nodes]
    return [[top.score for top in found.top] for found in engine.classify(asked, top_k=3)]


def scores(answers: list[dict[str, Any]]) -> list[list[float]]:
    return [[top["score"] for top in answer["top"]] for answer in answers]


@pytest.mark.parametrize("kind", ["sage", "gcn", "gat", "gin"])
def test_a_rival_computes_what_the_engine_answers(tmp_path: Path, kind: StudentKind) -> None:
    bundle, student = bundle_and_student(tmp_path, kind)
    predictor = Predictor(bundle, student)
    questions = Questions(hub_graph(60))
    nodes = [*questions.nodes("stored", 5), *questions.nodes("unseen", 4), {"text": "alone"}]
    nodes += questions.nodes("stored", 2) + nodes[:1]  # in any order, and one twice
    (edge,) = questions.edges(1)
    with Engine.open(bundle) as engine:
        expected = engine_scores(engine, nodes)
        np.testing.assert_allclose(scores(predictor.answer(nodes, 3)), expected, atol=TOLERANCE)
        parts = predictor.answer_all([nodes[:2], nodes[2:]], 3)
        np.testing.assert_allclose(scores(parts[0] + parts[1]), expected, atol=TOLERANCE)
        living = RecomputedGraph(predictor)
        before = living.table.copy()
        living.change([Change("add_edge", **edge)])
        engine.apply([AddEdge(**edge)])
        rows = np.arange(len(before))
        np.testing.assert_allclose(living.table, engine.state.logits(rows), atol=TOLERANCE)
        assert np.abs(living.table - before).max() > TOLERANCE
        living.change([Change("remove_edge", **edge)])
        engine.apply([RemoveEdge(**edge)])
        np.testing.assert_allclose(living.table, before, atol=TOLERANCE)
