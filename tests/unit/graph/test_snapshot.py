from pathlib import Path

import numpy as np
import pytest

from understudy.graph import (
    GraphFormatError,
    TextGraph,
    build_adjacency,
    random_split,
    string_array,
)
from understudy.graph.snapshot import (
    DETAILS_FILE,
    INDICES_FILE,
    NODES_FILE,
    load_snapshot,
    save_snapshot,
)


@pytest.fixture
def graph() -> TextGraph:
    labels = np.array([0, 1, 0, 1, -1, 0])
    adjacency, _ = build_adjacency(6, np.array([[0, 1], [1, 2], [3, 4]]))
    return TextGraph(
        name="rivers",
        ids=string_array(f"river-{number}" for number in range(6)),
        texts=string_array(f"A river with {number} bridges.\nIt is long." for number in range(6)),
        labels=labels,
        label_names=("calm", "wild"),
        adjacency=adjacency,
        splits=random_split(labels),
        source="made for a test",
    )


def test_what_is_served_is_what_was_saved(graph: TextGraph, tmp_path: Path) -> None:
    save_snapshot(graph, tmp_path)
    loaded = load_snapshot(tmp_path)
    assert loaded.content_hash == graph.content_hash
    assert (loaded.name, loaded.source) == (graph.name, graph.source)
    assert loaded.index_of == graph.index_of


def test_arrays_are_mapped_and_not_read(graph: TextGraph, tmp_path: Path) -> None:
    save_snapshot(graph, tmp_path)
    assert isinstance(load_snapshot(tmp_path).adjacency.indices, np.memmap)


@pytest.mark.parametrize("name", [NODES_FILE, INDICES_FILE, DETAILS_FILE])
@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_a_damaged_snapshot_is_named(
    graph: TextGraph, tmp_path: Path, name: str, damage: str
) -> None:
    save_snapshot(graph, tmp_path)
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(GraphFormatError, match=str(tmp_path)):
        load_snapshot(tmp_path)
