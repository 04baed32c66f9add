"""Explanations of every kind of student, against requests without a neighbour."""

from pathlib import Path

import numpy as np
import pytest

from tests.student_bundles import hub_graph, write_student_bundle
from tests.students import small_student
from training.config import StudentKind
from understudy.engine import Engine, Limits, Node
from understudy.engine.explanations import explain
from understudy.graph.mutations import AddEdge


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_leaving_a_neighbor_out_is_asking_without_it(kind: StudentKind, tmp_path: Path) -> None:
    """For a stored node, with weights that depend on degrees, and with attention."""
    graph = hub_graph()
    bundle = write_student_bundle(tmp_path / "bundle", graph, small_student(kind))
    engine = Engine.open(bundle.folder, limits=Limits(explained_neighbors=1_000))
    engine.apply([AddEdge("n2", "n139")])
    row = engine.state.graph.row_of("n2")
    assert row is not None
    near = [engine.state.graph.id(other) for other in engine.state.graph.neighbors(row).tolist()]
    assert len(near) > 3
    (explanation,) = explain(engine, [Node(id="n2")])
    assert sorted(influence.id for influence in explanation.neighbors) == sorted(near)
    text, names = engine.state.graph.text(row), engine.manifest.label_names
    whole = engine.logits([Node(id="n2")])[0].astype(np.float64)
    label = int(whole.argmax())
    assert explanation.label == names[label]

    def odds(logits: np.ndarray) -> float:
        others = np.delete(logits.astype(np.float64), label)
        return float(logits[label] - np.log(np.exp(others).sum()))

    for influence in explanation.neighbors:
        others = tuple(name for name in near if name != influence.id)
        logits = engine.logits([Node(text=text, neighbors=others)])[0]
        assert influence.log_odds == pytest.approx(odds(whole) - odds(logits), abs=1e-4)
        assert influence.label == names[int(logits.argmax())]
