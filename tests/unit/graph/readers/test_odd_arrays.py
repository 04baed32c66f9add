"""Contents of array files that a graph cannot have; errors name them as their author does."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.unit.graph.readers.shapes import names  # noqa: E402
from understudy.graph import BadInputError, SourceError  # noqa: E402
from understudy.graph.building.builder import Built, Rules  # noqa: E402
from understudy.graph.readers.pyg import PygKeys, pyg_graph  # noqa: E402


def read(folder: Path, **changes: Any) -> Built:
    pairs = torch.tensor([[0, 1, 2], [1, 2, 0]])
    values = {"edge_index": pairs, "raw_texts": ["oak", "elm", "ash"], **changes}
    torch.save({key: value for key, value in values.items() if value is not None}, folder / "g.pt")
    return pyg_graph(folder / "g.pt", PygKeys(), Rules())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"edge_index": torch.tensor([[1, 2, 3], [2, 3, 1]])},
            r"edge 1: the edge's target 3 is no node \(and 1 more edges\); there are 3, from 0; ad",
        ),
        ({"edge_index": torch.tensor([[0, -1], [1, 2]])}, r"source -1 is no node; there are 3"),
        ({"edge_index": [(0, 1), (1, 2), (2, 0)]}, r"not int64 \[3, 2\]; save its transpose$"),
        (
            {"edge_index": None, "adj": torch.ones(3, 3)},
            r"'adj' must be a sparse tensor of torch, not a dense one; .*or adj\.to_sparse\(\)",
        ),
        ({"num_nodes": torch.tensor(5)}, r"3 texts in 'raw_texts' for 5 nodes \('num_nodes'\)"),
        ({"raw_texts": np.zeros((3, 1))}, r"must be a list of strings, not float64 \[3, 1\]"),
        (
            {"y": [["x"], ["y"], ["x", "z"]]},
            r"g\.pt node 2: 'y' must be one label, not several, found \['x', 'z'\]$",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_reported(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, **changes)


def test_a_list_of_one_name_is_that_name(tmp_path: Path) -> None:
    assert names(read(tmp_path, y=[["x"], ("y",), []]).graph) == ["x", "y", None]
    assert read(tmp_path, num_nodes=torch.tensor(3)).graph.num_nodes == 3


def array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array(), "one array of NumPy; save all of a graph together: numpy.savez"),
        (b"MATLAB 5.0 MAT-file, Platform: posix", "a file of MATLAB; load it with scipy.io"),
        (b"\x89HDF\r\n\x1a\n", "HDF5; save its arrays"),
        (b"\x1f\x8b\x08\x00", "packed by gzip; unpack it"),
        (b"PAR1\x15\x04", "Parquet, which is read by `understudy data import`"),
    ],
)
def test_a_file_of_another_program_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "g.pt").write_bytes(content)
    with pytest.raises(BadInputError, match=rf"g\.pt: {message}"):
        pyg_graph(tmp_path / "g.pt", PygKeys(), Rules())


def test_a_url_is_no_file() -> None:
    with pytest.raises(SourceError, match=r"g\.pt is a URL, but .*copy from"):
        pyg_graph(Path("https://example.org/g.pt"), PygKeys(), Rules())
