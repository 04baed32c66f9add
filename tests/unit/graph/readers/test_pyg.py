import argparse
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from graph import BadInputError, SourceError  # noqa: E402
from graph.builder import Built, Rules  # noqa: E402
from graph.readers.pyg import PygKeys, pyg_graph  # noqa: E402


def values(**changes: Any) -> dict[str, Any]:
    content = {
        "edge_index": torch.tensor([[0, 1, 1, 2], [1, 0, 2, 2]]),
        "y": torch.tensor([[1], [0], [1]]),
        "raw_texts": ["one", "two", "three"],
        "label_names": ["no", "yes"],
        "train_mask": torch.tensor([[True, False], [True, False], [False, True]]),
        "val_mask": torch.tensor([False, False, True]),
    }
    return {key: value for key, value in {**content, **changes}.items() if value is not None}


def read(path: Path, content: Any, keys: PygKeys | None = None, **rules: Any) -> Built:
    torch.save(content, path / "graph.pt")
    return pyg_graph(path / "graph.pt", keys or PygKeys(), Rules(**rules))


def test_a_dict_of_tensors_and_lists(tmp_path: Path) -> None:
    built = read(tmp_path, values())
    graph = built.graph
    assert graph.ids.to_pylist() == ["0", "1", "2"]
    assert graph.texts.to_pylist() == ["one", "two", "three"]
    assert graph.label_names == ("no", "yes")
    assert graph.labels.tolist() == [1, 0, 1]
    assert graph.adjacency.edges().tolist() == [[0, 1], [1, 2]]
    assert {name: nodes.tolist() for name, nodes in graph.splits.items()} == {
        "train": [0, 1],
        "val": [2],
    }
    assert dict(graph.notes) == {"self_loops": 1, "reversed_edges": 1}


def test_another_mask_column(tmp_path: Path) -> None:
    keys = PygKeys(mask_column=1)
    built = read(tmp_path, values(val_mask=None), keys, unseen_labels="drop")
    assert {name: nodes.tolist() for name, nodes in built.graph.splits.items()} == {"train": [2]}


def test_a_data_object_and_an_in_memory_data_set(tmp_path: Path) -> None:
    data_module = pytest.importorskip("torch_geometric.data", reason="PyG is not installed")
    data = data_module.Data(**values())
    expected = read(tmp_path, values()).graph.content_hash
    assert read(tmp_path, data).graph.content_hash == expected
    assert read(tmp_path, (data.to_dict(), None, data_module.Data)).graph.content_hash == expected


def test_titles_abstracts_ids_and_missing_labels(tmp_path: Path) -> None:
    content = values(
        raw_texts=None,
        label_names=None,
        title=["A", "B", "C"],
        abs=["one", "", None],
        node_ids=torch.tensor([70, 80, 90]),
        y=torch.tensor([2.0, float("nan"), 2.0]),
    )
    graph = read(tmp_path, content).graph
    assert graph.ids.to_pylist() == ["70", "80", "90"]
    assert graph.texts.to_pylist() == ["A\none", "B", "C"]
    assert graph.label_names == ("2",)
    assert graph.labels.tolist() == [0, -1, 0]


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"would run code of argparse\.Namespace.*a dict of"):
        read(tmp_path, values(extra=argparse.Namespace(a=1)))


BAD = [
    ({"edge_index": None}, "no 'edge_index' in it; found: y, raw_texts"),
    ({"edge_index": torch.eye(3)}, r"must be integers \[2, E\], not float32 \[3, 3\]"),
    ({"edge_index": "text"}, "must be integers"),
    ({"edge_index": torch.tensor([[0], [3]])}, r"graph\.pt edge 0: .*target 3 is no node"),
    ({"raw_texts": None}, "no texts .*found: edge_index, y"),
    ({"raw_texts": torch.eye(3)}, "'raw_texts' must be a list of strings"),
    ({"raw_texts": ["a", 1, "b"]}, r"graph\.pt node 1: 'raw_texts' must be a string, not int"),
    ({"raw_texts": ["a", " ", "b"]}, r"graph\.pt node 1: node '1' has no text"),
    ({"y": torch.eye(2)}, "'y' must be 3 class numbers, one for each text in 'raw_texts'"),
    ({"y": torch.ones(3, 2)}, r"graph\.pt node 0: 'y' gives it 2 labels"),
    ({"y": torch.rand(3, 2)}, r"'y' must be 3 class numbers, not float32 \[3, 2\]"),
    ({"y": torch.tensor([0.5, 0, 0])}, "found fractions"),
    ({"y": torch.tensor([0, 5, 0])}, r"graph\.pt node 1: class 5 has no name"),
    ({"train_mask": torch.tensor([True])}, "'train_mask' must be a mask of 3"),
    ({"node_ids": torch.tensor([1, 2])}, "'node_ids' must be 3 ids"),
    ({"node_ids": torch.tensor([1, 2, 1])}, r"graph\.pt node 2: id '1' is already at .* node 0"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_bad_values_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, values(**changes))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (PygKeys(text="prose"), "no prose; found: .*--text-key"),
        (PygKeys(label_names="names"), "no 'names'; found"),
        (PygKeys(mask_column=2), "has 2 columns, there is no column 2"),
    ],
)
def test_keys_that_are_not_there(tmp_path: Path, keys: PygKeys, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, values(), keys)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken", bytes(range(256))])
def test_bytes_that_torch_has_not_saved(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "graph.pt").write_bytes(content)
    with pytest.raises(BadInputError, match=r"graph\.pt: "):
        pyg_graph(tmp_path / "graph.pt", PygKeys(), Rules())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        pyg_graph(tmp_path / "graph.pt", PygKeys(), Rules())
