"""Graphs whose fields were set by hand: whatever is written can be read again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from understudy.graph import BadInputError, TextGraph, load_graph, save_graph
from understudy.graph.building.reading import reading_of
from understudy.graph.cached_graph import graph_folder
from understudy.graph.settled import settled

NODES = 7


@pytest.mark.parametrize(
    "changes",
    [
        {"splits": {"train": np.array([3, 0]), "val": [4, 1], "test": np.array([2, 5], np.int32)}},
        {
            "splits": {
                "train": np.isin(np.arange(NODES), [0, 3]),
                "val": np.array([1, 4], np.uint8),
                "test": [5, 2],
            }
        },
        {"labels": [0, 0, 0, 1, 1, 1, -1], "label_names": ["left", "right"]},
        {"labels": np.array([0, 0, 0, 1, 1, 1, -1], np.int8)},
        {"groups": list(range(NODES))},
        {"ids": list("abcdefg"), "texts": [f"title {name}\nbody of {name}" for name in "abcdefg"]},
        {"ids": pa.chunked_array([list("abc"), list("defg")])},
    ],
)
def test_what_is_set_otherwise_is_the_same_graph(
    small_graph: TextGraph, tmp_path: Path, changes: dict[str, Any]
) -> None:
    save_graph(replace(small_graph, **changes), tmp_path / "graph")
    assert load_graph(tmp_path / "graph").content_hash == small_graph.content_hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": {"train": [0, 3], "val": [3]}}, "node 'd' is in more than one split"),
        ({"splits": {"train": [0, 3, 0]}}, "node 'a' is in more than one split"),
        ({"splits": {"valid": [1]}}, "the graph's splits are train, val, test, not 'valid'"),
        ({"splits": {"train": [0, 7]}}, "split 'train' holds 7, which is no node; there are 7"),
        ({"splits": {"train": [0.0, 3.0]}}, r"'train' must be positions .* not float64 \[2\]"),
        ({"labels": np.full(NODES, 2)}, "node 0 has 2, and there are 2 label_names"),
        ({"labels": np.full(NODES, -2)}, "node 0 has -2, and there are 2 label_names"),
        ({"labels": np.zeros(3, np.int64)}, r"labels must be whole numbers, .* not int64 \[3\]"),
        ({"labels": np.zeros(NODES)}, r"labels must be whole numbers, .* not float64 \[7\]"),
        ({"labels": np.ma.array(np.zeros(NODES, int), mask=True)}, "labels must be whole numbers"),
        ({"label_names": ("left", "left")}, "label_names must be strings, .* two are alike"),
        ({"label_names": (0, 1)}, "label_names must be strings, each of its own; found 0"),
        ({"groups": ["a"] * NODES}, "groups must be whole numbers"),
        ({"ids": list("aacdefg")}, "two nodes have one id"),
        ({"texts": ["one"]}, "texts must be one for each of its 7 nodes, not 1"),
        ({"texts": [*"abcdef", None]}, "texts must be one for each of its 7 nodes, not 6"),
        ({"texts": [*"abcdef", 3]}, "texts must be strings"),
    ],
)
def test_what_fits_no_graph_is_refused_before_it_is_written(
    small_graph: TextGraph, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        save_graph(replace(small_graph, **changes), tmp_path / "graph")
    assert not (tmp_path / "graph").exists()


def test_what_is_changed_in_place_is_another_graph(
    small_graph: TextGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    first = graph_folder(small_graph)
    assert settled(small_graph).content_hash == small_graph.content_hash
    small_graph.labels[0] = -1
    small_graph.splits["train"] = np.array([3])  # type: ignore[index]
    second = graph_folder(small_graph)
    assert second != first
    read = load_graph(second)
    assert (read.labels[0], read.splits["train"].tolist()) == (-1, [3])
    save_graph(small_graph, tmp_path / "graph")
    assert load_graph(tmp_path / "graph").content_hash == read.content_hash


def test_a_step_reads_the_graph_that_was_set(
    small_graph: TextGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    other = replace(small_graph, splits={"train": [4, 0], "val": [3, 1]})  # type: ignore[dict-item]
    read = load_graph(graph_folder(other))
    assert {name: nodes.tolist() for name, nodes in read.splits.items()} == {
        "train": [0, 4],
        "val": [1, 3],
    }


def test_what_a_graph_was_read_from_goes_along(
    small_graph: TextGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    first = graph_folder(replace(small_graph, reading={}))
    read = replace(small_graph, reading=reading_of(("title", "body")))
    assert graph_folder(read) == first
    assert load_graph(first).reading == read.reading
    before = (first / "meta.json").stat().st_ino
    graph_folder(load_graph(first))
    assert (first / "meta.json").stat().st_ino == before  # once is enough


def test_what_is_no_graph_is_told() -> None:
    with pytest.raises(BadInputError, match=r"expected a graph, such as .* makes.*; found dict"):
        graph_folder({"text": ["a"]})  # type: ignore[arg-type]
