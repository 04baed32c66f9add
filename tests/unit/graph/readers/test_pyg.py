import argparse
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from understudy.graph import BadInputError, GraphError, SourceError  # noqa: E402
from understudy.graph.building.builder import Built, Rules  # noqa: E402
from understudy.graph.readers.pyg import PygKeys, pyg_graph  # noqa: E402


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
    ({"raw_texts": ["a", 1, "b"]}, r"graph\.pt node 1: 'raw_texts' must be a string, found 1"),
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
        (
            PygKeys(label="none", label_names="label_names"),
            "'label_names' would not be read, since no labels are read; leave it out",
        ),
    ],
)
def test_keys_that_are_not_there(tmp_path: Path, keys: PygKeys, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, values(), keys)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"id,text\n1,a\n", b"PK\x03\x04 broken", bytes(range(256))]
)
def test_bytes_that_torch_has_not_saved(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "graph.pt").write_bytes(content)
    with pytest.raises(BadInputError, match=r"graph\.pt: no file that torch has saved"):
        pyg_graph(tmp_path / "graph.pt", PygKeys(), Rules())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        pyg_graph(tmp_path / "graph.pt", PygKeys(), Rules())
    os.mkfifo(tmp_path / "graph.pt")
    with pytest.raises(SourceError, match="a pipe, which can be read only once"):
        pyg_graph(tmp_path / "graph.pt", PygKeys(), Rules())


def names(built: Built) -> list[str | None]:
    graph = built.graph
    return [None if label < 0 else graph.label_names[label] for label in graph.labels]


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_pickle_protocol(tmp_path: Path, protocol: int) -> None:
    content = values(
        y=numpy.array([1, 0, 1]), raw_texts=numpy.array(["one", "two", "three"], dtype=object)
    )
    torch.save(content, tmp_path / "graph.pt", pickle_protocol=protocol)
    built = pyg_graph(tmp_path / "graph.pt", PygKeys(), Rules())
    assert built.graph.content_hash == read(tmp_path, values()).graph.content_hash


def test_a_newer_protocol_runs_no_code_either(tmp_path: Path) -> None:
    path = tmp_path / "graph.pt"
    torch.save(values(extra=argparse.Namespace(a=1)), path, pickle_protocol=4)
    with pytest.raises(BadInputError, match=r"would run code of argparse\.Namespace"):
        pyg_graph(path, PygKeys(), Rules())
    torch.save(values(label_names={"no", "yes"}), path, pickle_protocol=4)
    with pytest.raises(BadInputError, match=r"newer pickle protocol.*without pickle_p"):
        pyg_graph(path, PygKeys(), Rules())


def test_arrays_of_numpy_in_a_file_of_their_own(tmp_path: Path) -> None:
    content = values(label_names=numpy.array(["no", "yes"]), raw_texts=["one", "two", "three"])
    arrays = {key: numpy.asarray(value) for key, value in content.items()}
    numpy.savez(tmp_path / "graph.npz", allow_pickle=True, **arrays)
    built = pyg_graph(tmp_path / "graph.npz", PygKeys(), Rules())
    assert built.graph.content_hash == read(tmp_path, values()).graph.content_hash
    arrays["raw_texts"] = numpy.array(["one", "two", "three"], dtype=object)
    numpy.savez(tmp_path / "graph.npz", allow_pickle=True, **arrays)
    with pytest.raises(BadInputError, match=r"array of objects .*numpy\.array\(texts, dtype=str\)"):
        pyg_graph(tmp_path / "graph.npz", PygKeys(), Rules())


def test_a_data_object_of_before_pyg_2(tmp_path: Path) -> None:
    data_module = pytest.importorskip("torch_geometric.data", reason="PyG is not installed")
    old = data_module.Data.__new__(data_module.Data)
    old.__dict__.update({"x": None, "face": None, "__num_nodes__": None, **values()})
    assert read(tmp_path, old).graph.content_hash == read(tmp_path, values()).graph.content_hash


def test_several_graphs_are_refused(tmp_path: Path) -> None:
    data_module = pytest.importorskip("torch_geometric.data", reason="PyG is not installed")
    data = data_module.Data(**values())
    for several in ([data, data], (data, data), [values(), values()]):
        with pytest.raises(BadInputError, match=r"of 2 values .*one graph can be read"):
            read(tmp_path, several)
    assert read(tmp_path, [data]).graph.num_nodes == 3
    plain = data_module.Data(edge_index=values()["edge_index"], x=torch.zeros(3, 1))
    collated = data_module.InMemoryDataset.collate([plain, plain])
    with pytest.raises(BadInputError, match="a data set of 2 graphs"):
        read(tmp_path, collated)


def test_several_types_are_refused_with_advice_that_works(tmp_path: Path) -> None:
    data_module = pytest.importorskip("torch_geometric.data", reason="PyG is not installed")
    data = data_module.HeteroData()
    data["tree"].y, data["tree"].raw_texts = values()["y"], values()["raw_texts"]
    data["bird"].x = torch.zeros(2, 1)
    data["bird", "nests in", "tree"].edge_index = torch.tensor([[0], [1]])
    data["tree", "near", "tree"].edge_index = values()["edge_index"]
    advice = (
        r"torch\.save\(\{\*\*values\['tree'\], \*\*values\[\('tree', 'near', 'tree'\)\]\}, path"
    )
    for content in (data, data.to_dict()):
        with pytest.raises(BadInputError, match=rf"of several types .*{advice}"):
            read(tmp_path, content)
    saved = data.to_dict()
    graph = read(tmp_path, {**saved["tree"], **saved["tree", "near", "tree"]}).graph
    assert graph.texts.to_pylist() == ["one", "two", "three"]


def test_a_graph_of_dgl_is_named(tmp_path: Path) -> None:
    path = tmp_path / "graph.bin"
    path.write_bytes(0xDD2E60F0F6B4A127.to_bytes(8, "little") + bytes(64))
    with pytest.raises(BadInputError, match=r"a graph of DGL: .*load_graphs.*torch\.stack\(graph"):
        pyg_graph(path, PygKeys(), Rules())


LABELS = [
    ({"y": torch.tensor([1.0, 0.0, 1.0], dtype=torch.bfloat16)}, ["yes", "no", "yes"]),
    ({"y": torch.tensor([[0, 1], [1, 0], [0, 0]])}, ["yes", "no", None]),
    ({"y": ["yes", None, "no"]}, ["yes", None, "no"]),
    ({"y": torch.tensor([True, False, True])}, ["yes", "no", "yes"]),
    ({"y": torch.tensor([True, False, True]), "label_names": None}, ["true", "false", "true"]),
    ({"y": torch.tensor([1, -1, 1]), "label_names": None}, ["1", "-1", "1"]),
    ({"y": torch.tensor([1, -1, 0])}, ["yes", None, "no"]),
    ({"y": torch.tensor([10**11, 5, 5]), "label_names": None}, [str(10**11), "5", "5"]),
    ({"label_names": None, "label_name": ["no", "yes"]}, ["yes", "no", "yes"]),
    ({"label_names": None, "category_names": ["b", "a", "b"]}, ["b", "a", "b"]),
    (
        {"y": None, "label": ["no", "yes"], "label_map": torch.tensor([1, 0, 1])},
        ["yes", "no", "yes"],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), LABELS)
def test_labels_in_every_shape(
    tmp_path: Path, changes: dict[str, Any], expected: list[str | None]
) -> None:
    content = values(train_mask=None, val_mask=None, **changes)
    assert names(read(tmp_path, content)) == expected


def test_keys_that_are_not_to_be_read(tmp_path: Path) -> None:
    content = values(label_names=["same", "same"], train_mask=None, val_mask=None)
    with pytest.raises(BadInputError, match="the classes 0 and 1 have one name"):
        read(tmp_path, content)
    assert names(read(tmp_path, content, PygKeys(label_names="none"))) == ["1", "0", "1"]
    assert names(read(tmp_path, content, PygKeys(label="none"))) == [None, None, None]


def test_edges_in_a_sparse_matrix(tmp_path: Path) -> None:
    edges = values()["edge_index"]
    expected = read(tmp_path, values()).graph.content_hash
    with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants(True):
        warnings.simplefilter("ignore")  # compressed tensors are in beta state
        matrix = torch.sparse_coo_tensor(edges, torch.ones(4), (3, 3)).coalesce()
        compressed = matrix.to_sparse_csr()
    for value in (matrix, compressed):
        built = read(tmp_path, values(edge_index=None, adj_t=value))
        assert built.graph.content_hash == expected
    with pytest.raises(BadInputError, match="'adj_t' must be a sparse tensor of torch"):
        read(tmp_path, values(edge_index=None, adj_t=edges))


def test_texts_that_nodes_share(tmp_path: Path) -> None:
    content = values(raw_texts=["one", "two"], node_map=torch.tensor([1, 0, 1]))
    assert read(tmp_path, content).graph.texts.to_pylist() == ["two", "one", "two"]
    with pytest.raises(BadInputError, match="'node_map' names a text that is not there"):
        read(tmp_path, values(raw_texts=["one", "two"], node_map=torch.tensor([2, 0, 1])))


def test_the_reading_names_the_keys(tmp_path: Path) -> None:
    reading = read(tmp_path, values(x=torch.zeros(3, 2))).graph.reading
    assert reading["split"] == "train_mask, val_mask, split 0 of 2 (--mask-column)"
    assert reading["files"][0]["unread"] == ["x"]
    assert reading["files"][0]["used"] == {
        "edges": ["edge_index"],
        "text": ["raw_texts"],
        "label": ["y"],
        "class names": ["label_names"],
        "split": ["train_mask", "val_mask"],
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"raw_texts": []}, "'raw_texts' is empty"),
        ({"raw_texts": ["one", "two"]}, "'y' must be 2 class numbers, one for each text in 'raw_t"),
        ({"num_nodes": 4}, r"3 texts in 'raw_texts' for 4 nodes \('num_nodes'\)"),
        ({"train_idx": torch.tensor([0, 3]), "train_mask": None, "val_mask": None}, "holds 3, whi"),
        ({"label_names": "no,yes"}, "not one string"),
        ({"label_names": {"no", "yes"}}, "a set, which has no order"),
    ],
)
def test_more_bad_values(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, values(**changes))


@pytest.mark.parametrize(
    ("dtype", "number", "most"),
    [
        (torch.float16, 2_049, "2,047"),
        (torch.bfloat16, 257, "255"),
        (torch.float32, 16_777_217, "16,777,215"),
    ],
)
def test_class_numbers_that_their_type_has_rounded_are_refused(
    tmp_path: Path, dtype: Any, number: int, most: str
) -> None:
    y = torch.tensor([0, 1, number]).to(dtype)
    with pytest.raises(BadInputError, match=rf"too large to be exact \(above {most} in its type\)"):
        read(tmp_path, values(y=y, label_names=None))
    assert names(read(tmp_path, values(y=torch.tensor([0, 1, 0]).to(dtype))))


def test_features_of_other_nodes_than_the_texts_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"3 texts in 'raw_texts' for 2 nodes \('x'\)"):
        read(tmp_path, values(x=torch.eye(2)))
    assert read(tmp_path, values(x=torch.eye(3))).graph.num_nodes == 3


@pytest.mark.parametrize("name", ["graph.pt", "graph.npz"])
def test_every_cut_and_every_wrong_byte_is_told_in_a_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "graph.pt":
        torch.save(values(), path)
    else:
        content = {key: numpy.asarray(value) for key, value in values().items()}
        numpy.savez_compressed(path, allow_pickle=True, **content)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 200)):
        for damaged in (whole[:place], whole[:place] + b"\xff\x00" + whole[place + 2 :]):
            path.write_bytes(damaged)
            with suppress(GraphError):  # some bytes are of no use
                pyg_graph(path, PygKeys(), Rules())


def test_names_of_what_is_a_name_already_are_not_left_unread(tmp_path: Path) -> None:
    content = values(y=["no", "yes", None])
    assert names(read(tmp_path, content)) == ["no", "yes", None]
    with pytest.raises(BadInputError, match="since the labels are names already; leave it out"):
        read(tmp_path, content, PygKeys(label_names="label_names"))


def test_one_hot_rows_of_true_and_false_are_class_numbers(tmp_path: Path) -> None:
    bare = values(label_names=None, train_mask=None, val_mask=None)
    rows = torch.tensor([[False, False, True], [True, False, False], [False, True, False]])
    graph = read(tmp_path, bare | {"y": rows}).graph
    assert (graph.label_names, graph.labels.tolist()) == (("0", "1", "2"), [2, 0, 1])
    column = torch.tensor([[True], [False], [True]])
    assert read(tmp_path, bare | {"y": column}).graph.label_names == ("false", "true")
