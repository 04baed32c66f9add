from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from understudy.graph import TextGraph, build_adjacency, string_array
from understudy.graph.text_graph import with_used_labels


def test_the_content_hash_does_not_depend_on_the_order_of_edges(small_graph: TextGraph) -> None:
    pairs = small_graph.adjacency.edges()[::-1, ::-1]
    same = replace(small_graph, adjacency=build_adjacency(7, pairs)[0])
    assert same.content_hash == small_graph.content_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"texts": string_array("abcdefg")},
        {"ids": string_array("ABCDEFG")},
        {"labels": np.array([1, 0, 0, 1, 1, 1, -1])},
        {"label_names": ("left", "other")},
        {"groups": None},
        {"splits": {}},
        {"adjacency": build_adjacency(7, np.array([[0, 1]]))[0]},
    ],
)
def test_the_content_hash_depends_on_all_else(
    small_graph: TextGraph, changes: dict[str, Any]
) -> None:
    assert replace(small_graph, **changes).content_hash != small_graph.content_hash


def test_the_content_hash_ignores_name_source_and_notes(small_graph: TextGraph) -> None:
    same = replace(small_graph, name="x", source="y", notes={})
    assert same.content_hash == small_graph.content_hash


def test_text_boundaries_count(small_graph: TextGraph) -> None:
    first = replace(small_graph, texts=string_array(["ab", "c", *"defgh"]))
    second = replace(small_graph, texts=string_array(["a", "bc", *"defgh"]))
    assert first.text_hash != second.text_hash


def test_hashes_of_a_slice_equal_those_of_a_copy(small_graph: TextGraph) -> None:
    longer = string_array(["before", *small_graph.texts.to_pylist(), "after"])
    assert replace(small_graph, texts=longer.slice(1, 7)).text_hash == small_graph.text_hash


def test_subgraph_renumbers_everything(small_graph: TextGraph) -> None:
    part = small_graph.subgraph(np.array([3, 2, 6]))
    assert part.ids.to_pylist() == ["d", "c", "g"]
    assert part.labels.tolist() == [1, 0, -1]
    assert part.adjacency.edges().tolist() == [[0, 1]]
    assert {name: nodes.tolist() for name, nodes in part.splits.items()} == {
        "train": [0],
        "val": [],
        "test": [1],
    }
    assert part.index_of == {"d": 0, "c": 1, "g": 2}


def test_labels_that_no_node_has_lose_their_name(small_graph: TextGraph) -> None:
    part = with_used_labels(small_graph.subgraph(np.array([4, 6])))
    assert part.label_names == ("right",)
    assert part.labels.tolist() == [0, -1]
