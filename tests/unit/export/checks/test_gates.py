"""Inexact variants are judged by cosine and by validation accuracy."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from export.checks.gates import judge, smallest_cosine
from understudy.graph import TextGraph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


@pytest.fixture(scope="module")
def graph() -> TextGraph:
    return synthetic_graph(SyntheticOptions(nodes=200, classes=3))


@pytest.fixture(scope="module")
def right(graph: TextGraph) -> NDArray[np.float32]:
    """Logits that are right everywhere."""
    return np.eye(3, dtype=np.float32)[graph.labels]


def test_the_same_logits_pass(graph: TextGraph, right: NDArray[np.float32]) -> None:
    verdict = judge("int8", 0.99, graph, right, right)
    assert verdict.passes
    assert (verdict.info.precision, verdict.info.accuracy_change) == ("int8", 0)


def test_a_lost_node_fails(graph: TextGraph, right: NDArray[np.float32]) -> None:
    found = right.copy()
    found[graph.splits["val"][0]] = right[graph.splits["val"][0]][[1, 2, 0]]
    verdict = judge("int8", 0.99, graph, right, found)
    assert "points of validation accuracy" in verdict.complaint
    assert judge("int8", 0.99, graph, found, right).info.accuracy_change > 0


def test_a_wrong_test_node_is_not_looked_at(graph: TextGraph, right: NDArray[np.float32]) -> None:
    found = right.copy()
    found[graph.splits["test"]] = right[graph.splits["test"]][:, [1, 2, 0]]
    assert judge("int8", 0.99, graph, right, found).passes


@pytest.mark.parametrize(
    ("precision", "cosine", "passes"),
    [
        ("fp16", 0.9991, True),
        ("fp16", 0.9989, False),
        ("int8", 0.951, True),
        ("int8", 0.949, False),
    ],
)
def test_each_precision_has_its_own_least_cosine(
    graph: TextGraph, right: NDArray[np.float32], precision: str, cosine: float, passes: bool
) -> None:
    assert judge(precision, cosine, graph, right, right).passes == passes


def test_a_low_cosine_and_nan_fail(graph: TextGraph, right: NDArray[np.float32]) -> None:
    assert "cosine" in judge("fp16", 0.99, graph, right, right).complaint
    assert "not finite" in judge("int8", 1, graph, right, right * np.float32(np.nan)).complaint


def test_without_validation_nodes_nothing_passes(
    graph: TextGraph, right: NDArray[np.float32]
) -> None:
    bare = dataclasses.replace(graph, splits={})
    assert "no labelled validation node" in judge("int8", 1, bare, right, right).complaint


def test_the_smallest_cosine_is_of_the_rows() -> None:
    rows = np.array([[1, 0], [2, 2]], np.float32)
    assert smallest_cosine(rows, rows) == pytest.approx(1)
    assert smallest_cosine(rows, np.array([[1, 0], [3, 0]], np.float32)) == pytest.approx(0.5**0.5)
