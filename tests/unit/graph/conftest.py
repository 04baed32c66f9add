"""Small graphs and files for the tests of this room."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.unit.graph.log.logs import opened, records
from understudy.graph import TextGraph, build_adjacency, string_array
from understudy.graph.building.builder import Built, Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import SplitFile, import_graph
from understudy.graph.readers.formats import FileOptions

Import = Callable[..., Built]


@pytest.fixture
def small_graph() -> TextGraph:
    """Two triangles joined by one edge; node 6 is alone and has no label."""
    pairs = np.array([[0, 1], [1, 2], [0, 2], [3, 4], [4, 5], [3, 5], [2, 3]])
    return TextGraph(
        name="small",
        ids=string_array("abcdefg"),
        texts=string_array(f"title {name}\nbody of {name}" for name in "abcdefg"),
        labels=np.array([0, 0, 0, 1, 1, 1, -1]),
        label_names=("left", "right"),
        adjacency=build_adjacency(7, pairs)[0],
        splits={"train": np.array([0, 3]), "val": np.array([1, 4]), "test": np.array([2, 5])},
        groups=np.array([0, 1, 2, 3, 4, 5, 6]),
        source="by hand",
        notes={"self_loops": 1},
    )


@pytest.fixture
def import_text(tmp_path: Path) -> Import:
    """Imports a node file and an edge file given as their text; None writes no edge file."""

    def run(
        nodes: str | bytes,
        edges: str | bytes | None = "source,target\n",
        *,
        node_name: str = "nodes.csv",
        edge_name: str = "edges.csv",
        node_fields: NodeFields | None = None,
        edge_fields: EdgeFields | None = None,
        splits: SplitFile | None = None,
        options: FileOptions | None = None,
        **rules: object,
    ) -> Built:
        for name, content in ((node_name, nodes), (edge_name, edges)):
            if content is not None:
                data = content.encode() if isinstance(content, str) else content
                (tmp_path / name).write_bytes(data)
        return import_graph(
            [tmp_path / node_name],
            [] if edges is None else [tmp_path / edge_name],
            node_fields or NodeFields(),
            edge_fields or EdgeFields(),
            Rules(**rules),  # type: ignore[arg-type]
            splits,
            options=options,
        )

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a journal with twenty records."""
    path = tmp_path / "journal.sqlite"
    with closing(opened(path)) as journal:
        journal.append(records(20))
    return path
