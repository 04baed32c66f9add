"""Nodes removed from a graph, classified by a bundle that never contained them."""

from pathlib import Path

import pytest

from benchmarks.accuracy.unseen import AskBundle
from training.config import TrainingConfig
from training.evaluation.evaluate import evaluate
from training.evaluation.plan import EvaluationOptions
from training.evaluation.rows import RUNS_FILE, read_rows
from training.evaluation.run import panel_nodes
from training.evaluation.splits import WITHHELD, split_graph, withheld_nodes
from training.evaluation.statistics import bits
from training.recipe_names import PROPAGATED
from understudy.graph import save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def test_unseen_nodes_are_classified_by_a_bundle_that_never_had_them(tmp_path: Path) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=300, classes=3, mean_degree=6.0))
    save_graph(graph, tmp_path / "graph")
    options = EvaluationOptions(
        splits=1,
        seeds=1,
        students=("sage",),
        encoders=("hashing",),
        recipes=(PROPAGATED,),
        training=TrainingConfig(epochs=60),
        hidden=32,
        withheld=WITHHELD,
    )
    out = tmp_path / "out"
    report = evaluate(
        tmp_path / "graph", out, options, finish=AskBundle(tmp_path / "graph", "60/20/20")
    )
    text = report.read_text(encoding="utf-8")
    assert "## Unseen nodes" in text
    assert "## Test accuracy" not in text  # those nodes are not in the graph: no figure to compare
    (row,) = read_rows(out / RUNS_FILE).rows
    whole = split_graph(graph, "60/20/20", 0)
    count = len(withheld_nodes(whole.splits["test"], 0))
    assert row.test == len(whole.splits["test"]) - count
    shares = (row.unseen_0, row.unseen_1, row.unseen_3, row.unseen_all)
    for share in shares:
        assert share is not None
        assert share * count == pytest.approx(round(share * count))  # of these nodes, no others
    # The panel is of the whole graph: in the next split, others are taken out.
    left = split_graph(graph, "60/20/20", 0, WITHHELD)
    tested = left.ids.take(left.splits["test"]).to_pylist()
    panel = graph.ids.take(panel_nodes(graph.num_nodes)).to_pylist()
    assert bits(row.panel)[: len(panel)].tolist() == [name in tested for name in panel]
    assert bits(row.panel_right).sum() == round(row.test_accuracy * row.test)
    assert row.test_accuracy > 0.5 > 1 / 3  # chance
    assert (row.unseen_all or 0) > 0.5
