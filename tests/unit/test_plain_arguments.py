"""Arguments of the Python interface that do not fit their annotations."""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.errors import ExportError
from training.errors import TrainingError
from understudy import Graph, distill, evaluate, export, teach
from understudy.graph import load_graph, save_graph
from understudy.graph.errors import GraphError
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

SMALL: dict[str, Any] = {"encoder": "hashing", "epochs": 1, "hidden": 8}


@pytest.fixture
def graph() -> Graph:
    return synthetic_graph(SyntheticOptions(nodes=60, classes=3))


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("learning_rate", "0.1", "must be a number, not '0.1'"),
        ("learning_rate", None, "must be a number, not None"),
        ("dropout", "a", "must be a number"),
        ("epochs", "3", "must be a whole number, not '3'"),
        ("hidden", 8.0, "must be a whole number, not 8.0"),
        ("hidden", True, "must be a whole number, not True"),
        ("residual", "no", "must be True or False, not 'no'"),
        ("compare", 1, "must be True or False, not 1"),
        ("objectives", ["kd"], "must be a dict"),
        ("objectives", "kd", "must be a dict"),
        ("objectives", {"cross_entropy": "1"}, "the weight of 'cross_entropy' must be a number"),
        ("device", None, "must be a text, not None"),
        ("teacher", 7, "must be a path, not 7"),
        ("progress", True, "must be a function"),
    ],
)
def test_distill_names_the_argument(
    graph: Graph, tmp_path: Path, argument: str, value: Any, words: str
) -> None:
    with pytest.raises(TrainingError, match=words) as caught:
        distill(graph, tmp_path / "student", **{**SMALL, argument: value})
    assert argument in str(caught.value) or "weight" in words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("function", "wrong", "words"),
    [
        (distill, {"out": None}, "out must be a path"),
        (teach, {"teacher": None}, "teacher must be a text"),
        (teach, {"hops": 2}, r"hops takes several values, such as \[2\]"),
        (teach, {"hops": "01"}, "hops takes several values"),
        (teach, {"label_descriptions": "x"}, "label_descriptions must be a dict"),
        (evaluate, {"students": {"sage": 1}}, "students takes several values"),
    ],
)
def test_the_other_functions_name_the_argument(
    graph: Graph, tmp_path: Path, function: Any, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        function(graph, **{"out": tmp_path / "out", **wrong})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": 5}, "name must be a text, not 5"),
        ({"student": 7}, "student must be a path"),
        ({"student_precisions": "int8"}, r"such as \['int8'\]"),
    ],
)
def test_export_names_the_argument(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        export(**{"student": tmp_path / "s", "bundle": tmp_path / "b", **wrong})


def test_numbers_of_numpy_are_numbers(graph: Graph, tmp_path: Path) -> None:
    numbers: dict[str, Any] = {
        "hidden": np.int64(8),
        "seed": np.uint8(4),
        "learning_rate": np.float32(0.01),
    }
    distill(graph, tmp_path / "student", **{**SMALL, "epochs": np.int32(1), **numbers})
    config = json.loads((tmp_path / "student" / "config.json").read_text())
    assert config["training"]["seed"] == 4
    assert config["student"]["hidden"] == 8


def test_the_signature_stays_readable() -> None:
    assert list(inspect.signature(distill).parameters)[:3] == ["graph", "out", "teacher"]
    strange: dict[str, Any] = {"nonsense": 1}
    with pytest.raises(TypeError, match="nonsense"):
        distill("graph", "out", **strange)


@pytest.mark.parametrize("folder", [None, 7])
def test_a_graph_folder_is_a_path(graph: Graph, tmp_path: Path, folder: Any) -> None:
    with pytest.raises(GraphError, match="folder must be a path"):
        save_graph(graph, folder)
    with pytest.raises(GraphError, match="folder must be a path"):
        load_graph(folder)
    no_graph: Any = {"texts": ["a"]}
    with pytest.raises(GraphError, match="graph must be a Graph, not dict"):
        save_graph(no_graph, tmp_path / "graph")
