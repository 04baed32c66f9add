import json
from dataclasses import replace

import numpy as np
import pytest

from understudy.graph import TextGraph
from understudy.graph.describe import components, describe, edge_homophily


def test_the_figures_of_a_graph(small_graph: TextGraph) -> None:
    figures = describe(small_graph)
    assert figures["nodes"] == 7
    assert figures["edges"] == 7
    assert figures["labeled"] == 6
    assert figures["degree"] == {"min": 0, "median": 2.0, "mean": 2.0, "max": 3}
    assert figures["isolated_nodes"] == 1
    assert (figures["components"], figures["largest_component"]) == (2, 6)
    assert figures["edge_homophily"] == round(6 / 7, 4)
    assert figures["text_characters"]["p50"] == len("title a\nbody of a")
    assert figures["splits"] == {"train": 2, "val": 2, "test": 2}
    assert figures["classes"][0] == {"label": "left", "nodes": 3, "train": 1, "val": 1, "test": 1}
    assert figures["notes"] == {"self_loops": 1}
    json.dumps(figures)


def test_homophily_of_no_labelled_edge_is_unknown(small_graph: TextGraph) -> None:
    unlabelled = replace(small_graph, labels=np.full(7, -1), label_names=(), splits={})
    assert edge_homophily(unlabelled) is None
    assert describe(unlabelled)["classes"] == []


def test_components_are_numbered(small_graph: TextGraph) -> None:
    assert components(small_graph.adjacency).tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_lengths_are_characters_not_bytes(small_graph: TextGraph) -> None:
    from understudy.graph import string_array

    graph = replace(small_graph, texts=string_array(["ä€😀"] * 7))
    assert describe(graph)["text_characters"]["max"] == pytest.approx(3)
