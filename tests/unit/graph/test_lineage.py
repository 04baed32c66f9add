"""The graph that a folder holds, and its position in the log."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.bundles import tiny_graph
from understudy.graph import load_graph, save_graph
from understudy.graph.cached_graph import graph_folder
from understudy.graph.errors import GraphFormatError
from understudy.graph.lineage import Lineage, lineage_of


def rewrite(folder: Path, lineage: Any) -> None:
    """Puts something in the lineage's place; None takes it away."""
    path = folder / "meta.json"
    meta = json.loads(path.read_text())
    meta.pop("lineage")
    path.write_text(json.dumps(meta if lineage is None else {**meta, "lineage": lineage}))


def test_a_graph_begins_a_lineage_and_keeps_it(tmp_path: Path) -> None:
    graph = tiny_graph()
    save_graph(graph, tmp_path / "first")
    first = load_graph(tmp_path / "first")
    assert first.lineage == Lineage(graph.content_hash)
    other = replace(first, labels=np.zeros_like(first.labels), lineage=Lineage("origin", 7))
    save_graph(other, tmp_path / "later")
    later = load_graph(tmp_path / "later")
    assert later.lineage == Lineage("origin", 7)
    assert later.content_hash != first.content_hash
    part = later.subgraph(np.arange(5))
    assert lineage_of(part) == Lineage(part.content_hash)


def test_a_folder_of_an_older_release_has_its_contents_lineage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_graph(tiny_graph(), tmp_path / "graph")
    rewrite(tmp_path / "graph", None)
    with caplog.at_level(logging.INFO):
        assert load_graph(tmp_path / "graph").lineage == Lineage(tiny_graph().content_hash)
    assert "of an older release: its lineage is" in caplog.text


@pytest.mark.parametrize(
    "lineage",
    [
        7,
        {"id": "x"},
        {"id": "", "position": 1},
        {"id": "x", "position": -1},
        {"id": "x", "position": "1"},
    ],
)
def test_a_damaged_lineage_is_a_line(tmp_path: Path, lineage: Any) -> None:
    save_graph(tiny_graph(), tmp_path / "graph")
    rewrite(tmp_path / "graph", lineage)
    with pytest.raises(GraphFormatError, match=r"is damaged: .*lineage") as caught:
        load_graph(tmp_path / "graph")
    assert "\n" not in str(caught.value)


def test_what_is_kept_of_a_graph_in_memory_has_its_lineage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    graph = tiny_graph()
    for lineage in (None, Lineage("origin", 7), Lineage("origin", 8)):
        own = replace(graph, lineage=lineage)
        assert load_graph(graph_folder(own)).lineage == lineage_of(own)
