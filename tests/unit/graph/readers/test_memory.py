"""Graphs from data in memory equal an import of the same data."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from understudy import Graph, Rules
from understudy.graph import BadInputError
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph

IDS = ["oak", "ash", "elm", "yew"]
TEXTS = ["a tall tree", "a strong tree", "a shady tree", "a slow tree"]
LABELS = ["leafy", "leafy", None, "needled"]
SPLITS = ["train", "val", None, "train"]
EDGES = [("oak", "ash"), ("elm", "ash"), ("elm", "yew")]


def node_columns() -> dict[str, list[str | None]]:
    return {"id": list(IDS), "text": list(TEXTS), "label": list(LABELS), "split": list(SPLITS)}


def edge_columns() -> dict[str, list[str]]:
    return {"source": [first for first, _ in EDGES], "target": [second for _, second in EDGES]}


def imported(folder: Path, nodes: pa.Table, edges: pa.Table) -> Graph:
    """The same data by way of files."""
    pq.write_table(nodes, folder / "nodes.parquet")
    pq.write_table(edges, folder / "edges.parquet")
    files = [folder / "nodes.parquet"], [folder / "edges.parquet"]
    return import_graph(*files, NodeFields(), EdgeFields(), Rules()).graph


def from_arrays(**changes: Any) -> Graph:
    values: dict[str, Any] = {"texts": TEXTS, "edges": EDGES, "ids": IDS, "labels": LABELS}
    values["splits"] = {"train": [0, 3], "val": [1]}
    return Graph.from_arrays(**(values | changes))


def test_every_way_in_gives_the_graph_of_the_same_files(tmp_path: Path) -> None:
    nodes, edges = pa.table(node_columns()), pa.table(edge_columns())
    expected = imported(tmp_path, nodes, edges)
    assert expected.num_classes == 2
    assert from_arrays().content_hash == expected.content_hash
    assert Graph.from_pandas(nodes, edges).content_hash == expected.content_hash
    assert Graph.from_pandas(node_columns(), edge_columns()).content_hash == expected.content_hash
    assert isinstance(expected, Graph)


def test_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    expected = imported(tmp_path, pa.table(node_columns()), pa.table(edge_columns()))
    nodes = pandas.DataFrame(node_columns())
    edges = pandas.DataFrame(edge_columns())
    assert Graph.from_pandas(nodes, edges).content_hash == expected.content_hash
    nodes["label"] = nodes["label"].astype("category")
    assert Graph.from_pandas(nodes.set_index("id"), edges).content_hash == expected.content_hash
    series = from_arrays(
        texts=nodes["text"], ids=nodes["id"], labels=nodes["label"], edges=edges.to_numpy()
    )
    assert series.content_hash == expected.content_hash


class Streamed:
    """A table of a library that only speaks Arrow's C stream, as Polars and DuckDB do."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.table = pa.table(columns)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def test_a_table_of_another_library() -> None:
    graph = Graph.from_pandas(Streamed(node_columns()), Streamed(edge_columns()))
    assert graph.content_hash == from_arrays().content_hash


def test_ids_of_a_database() -> None:
    uuids = [UUID(int=number) for number in range(4)]
    names = dict(zip(IDS, uuids, strict=True))
    edges = [(names[source], names[target]) for source, target in EDGES]
    expected = [str(uuid) for uuid in uuids]
    assert expected[1] == "00000000-0000-0000-0000-000000000001"
    graph = from_arrays(ids=uuids, edges=edges)
    assert graph.ids.to_pylist() == expected
    assert graph.adjacency.num_edges == from_arrays().adjacency.num_edges
    tuples = np.empty(len(edges), dtype=object)
    tuples[:] = edges
    assert from_arrays(ids=uuids, edges=tuples).content_hash == graph.content_hash
    stored = pa.table(node_columns() | {"id": pa.array([u.bytes for u in uuids], pa.uuid())})
    ends = {
        end: pa.array([u.bytes for u in column], pa.uuid())
        for end, column in zip(("source", "target"), zip(*edges, strict=True), strict=True)
    }
    table = Graph.from_pandas(stored, pa.table(edge_columns() | ends))
    assert table.content_hash == graph.content_hash


@pytest.mark.parametrize(
    "ids",
    [
        np.array(IDS, dtype=object),
        [Decimal(3), 5, "oak", "7"],
        np.array([1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_ids_in_arrays_of_other_types(ids: Any) -> None:
    wanted = [str(int(i)) if not isinstance(i, str) else i for i in ids]
    edges = [(wanted[0], wanted[3])]
    assert from_arrays(ids=ids, edges=edges).ids.to_pylist() == wanted


def test_class_numbers_that_pandas_made_floats() -> None:
    numbers = pa.table({**node_columns(), "label": [1.0, 1.0, None, 0.0]})
    graph = Graph.from_pandas(numbers, edge_columns())
    assert graph.label_names == ("0", "1")
    assert graph.labels.tolist() == [1, 1, -1, 0]


def test_a_networkx_graph(tmp_path: Path) -> None:
    networkx = pytest.importorskip("networkx", reason="networkx is not installed")
    expected = imported(tmp_path, pa.table(node_columns()), pa.table(edge_columns()))
    graph = networkx.Graph()
    for name, text, label, split in zip(IDS, TEXTS, LABELS, SPLITS, strict=True):
        graph.add_node(name, text=text, label=label, split=split)
    graph.add_edges_from(EDGES, weight=2.0)
    assert Graph.from_networkx(graph).content_hash == expected.content_hash
    graph.add_node("fir", text=3)
    with pytest.raises(BadInputError, match=r"nodes node 5: column 'text' must be a string"):
        Graph.from_networkx(graph)


def test_what_is_no_networkx_graph_is_refused() -> None:
    with pytest.raises(BadInputError, match="expected a NetworkX graph, found list"):
        Graph.from_networkx([("fir", "elm")])


def test_a_pyg_object() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from torch_geometric.data import Data

    data = Data(
        edge_index=torch.tensor([[0, 2, 2], [1, 1, 3]]),
        y=torch.tensor([0, 0, -1, 1]),
        train_mask=torch.tensor([True, False, False, True]),
        val_mask=torch.tensor([False, True, False, False]),
        label_names=["leafy", "needled"],
    )
    graph = Graph.from_pyg(data, TEXTS, name="trees")
    expected = from_arrays(ids=None, edges=[(0, 1), (2, 1), (2, 3)])
    assert graph.content_hash == expected.content_hash
    assert graph.name == "trees"
    data.raw_texts = TEXTS
    assert Graph.from_pyg(data).content_hash == expected.content_hash
    with pytest.raises(BadInputError, match="data: no texts"):
        Graph.from_pyg({"edge_index": np.array([[0], [1]]), "y": np.array([0, 1])})


def test_a_column_of_masks_that_are_not_there_is_refused() -> None:
    data = {"edge_index": np.array([[0], [1]]), "y": np.array([0, 0, 1, 1])}
    with pytest.raises(BadInputError, match="it has no masks, so there is no column 2"):
        Graph.from_pyg(data, TEXTS, mask_column=2)


def test_positions_name_nodes_that_have_no_ids() -> None:
    graph = from_arrays(ids=None, edges=np.array([[0, 1], [1, 2]]))
    assert graph.ids.to_pylist() == ["0", "1", "2", "3"]
    assert graph.adjacency.edges().tolist() == [[0, 1], [1, 2]]


def test_class_numbers_with_names() -> None:
    named = from_arrays(labels=np.array([0, 0, -1, 1]), label_names=["leafy", "needled"])
    assert named.content_hash == from_arrays().content_hash


def test_a_split_that_is_drawn_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "understudy.graph"):
        graph = from_arrays(splits=None, rules=Rules(fractions=(1.0, 0.0, 0.0), seed=5))
    assert graph.splits["train"].tolist() == [0, 1, 3]
    assert "graph: split drawn at random, 1/0/0, seed 5 (train 3, val 0, test 0)" in caplog.messages
    caplog.clear()
    assert from_arrays().reading["split"] == "the splits that were given"
    assert not any("drawn" in message for message in caplog.messages)


def test_what_is_repaired_is_told(caplog: pytest.LogCaptureFixture) -> None:
    graph = from_arrays(texts=[*TEXTS[:3], None], rules=Rules(missing_text="id"))
    assert graph.texts.to_pylist()[3] == "yew"
    assert graph.notes == {"texts_from_ids": 1}
    assert "graph: nodes without text given their id as text: 1 (first: arrays node 3)" in (
        caplog.messages
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"texts": [*TEXTS[:3], 7]}, r"arrays node 3: 'texts' must be a string, found 7"),
        ({"texts": [*TEXTS[:3], ""]}, r"arrays node 3"),
        ({"ids": ["oak", "oak", "elm", "yew"]}, r"arrays node 1"),
        ({"ids": ["oak"]}, r"'ids' must be 4 ids"),
        (
            {"ids": [1.0, 2.5, 3.0, 4.0]},
            r"arrays node 1: 'ids' must .* number, found 2\.5",
        ),
        ({"ids": ["oak", None, "elm", "yew"]}, r"arrays node 1"),
        (
            {"ids": np.array([1, 2, 3, 2**25], np.float32)},
            r"arrays node 3: 'ids' must be at most 16,777,215",
        ),
        ({"labels": ["leafy"]}, r"'labels' must be 4 labels"),
        ({"edges": [("oak", "fir")]}, r"arrays edge 0.*'fir'"),
        ({"edges": [("oak", None)]}, r"'edges' must be pairs of ids \[E, 2\], not object"),
        ({"edges": [("oak", ["ash"])]}, r"'edges'"),
        ({"edges": np.zeros((2, 5), np.int64)}, r"'edges' must be pairs .*give its transpose"),
        ({"ids": None, "edges": [(0, 9)]}, r"arrays edge 0"),
        ({"ids": None}, r"'edges' must be pairs of positions"),
        ({"splits": {"training part": [0]}}, r"'splits' has 'training part'"),
        ({"splits": {"train": [0, 9]}}, r"holds 9, which is no node"),
        ({"splits": {"train": [0], "val": [3]}}, r"arrays node 3.*label 'needled'"),
        ({"name": "a\rb"}, r"^name contains a control character, '\\r'; give another one"),
        (
            {"name": "a" * 201},
            r"^name has 201 characters; at most 200 are allowed; give another one",
        ),
        ({"name": None}, r"^name must be a text, not None"),
        ({"labels": ["leafy", "two\nlines", None, "leafy"]}, r"arrays node 1: label 'two\\nlines'"),
        ({"groups": ["a"]}, r"'groups' must be 4"),
        ({"groups": ["a", "b", ["c"], "d"]}, r"arrays node 2: 'groups' must be a string"),
    ],
)
def test_a_bad_value_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        from_arrays(**changes)


def test_a_bad_cell_of_a_table_is_named_by_row_and_column() -> None:
    nodes = node_columns() | {"text": [*TEXTS[:3], ""]}
    with pytest.raises(BadInputError, match="nodes row 4"):
        Graph.from_pandas(nodes, edge_columns())
    with pytest.raises(BadInputError, match=r"edges row 3.*'fir'"):
        Graph.from_pandas(node_columns(), edge_columns() | {"target": ["ash", "ash", "fir"]})
    with pytest.raises(BadInputError, match="nodes: no column 'body'; the columns are: id, text"):
        Graph.from_pandas(node_columns(), edge_columns(), text_field="body")
    with pytest.raises(BadInputError, match=r"nodes: expected a table, .*, not list"):
        Graph.from_pandas([1, 2, 3], edge_columns())
    with pytest.raises(BadInputError, match="name contains a control character"):
        Graph.from_pandas(node_columns(), edge_columns(), name="a\nb")


def test_neighbors_in_a_column() -> None:
    nodes = {**node_columns(), "neighbors": [["ash"], [], ["ash", "yew"], []]}
    graph = Graph.from_pandas(nodes)
    assert graph.content_hash == from_arrays().content_hash


def test_empty_edges_and_groups() -> None:
    graph = from_arrays(edges=[], groups=["a", "a", None, "b"])
    assert graph.adjacency.num_edges == 0
    assert graph.groups is not None
    assert graph.groups[0] == graph.groups[1]
    assert len(set(graph.groups.tolist())) == 3


def test_a_graph_is_told_in_a_line() -> None:
    assert repr(from_arrays()) == "<Graph 'graph': 4 nodes, 3 edges, 2 classes, train 2, val 1>"


def test_a_networkx_graph_made_of_arrays() -> None:
    networkx = pytest.importorskip("networkx", reason="NetworkX is not installed")
    graph = networkx.Graph()
    labels = np.array([2.0, np.nan, 7.0])
    for node, text, label in zip(np.arange(3), np.array(TEXTS), labels, strict=False):
        graph.add_node(node, text=text, label=label)
    graph.add_edge(np.int64(0), np.int64(2))
    made = Graph.from_networkx(graph)
    assert made.ids.to_pylist() == ["0", "1", "2"]
    assert made.texts.to_pylist() == TEXTS[:3]
    assert made.label_names == ("2", "7")
    assert made.labels.tolist() == [0, -1, 1]
    assert made.adjacency.edges().tolist() == [[0, 2]]


def test_the_index_of_a_table_of_pandas_is_a_column_where_it_is_named() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    nodes, edges = pandas.DataFrame(node_columns()), pandas.DataFrame(edge_columns())
    expected = Graph.from_pandas(nodes, edges).content_hash
    for table in (nodes.set_index("id"), nodes.set_index("id", drop=False)):
        assert Graph.from_pandas(table, edges).content_hash == expected
    assert Graph.from_pandas(nodes, edges.set_index(["source", "target"])).content_hash == expected
    counted = nodes.assign(id=range(1, 5)).set_index("id")  # which pandas keeps as a range
    assert Graph.from_pandas(counted).ids.to_pylist() == ["1", "2", "3", "4"]
    assert (
        Graph.from_pandas(nodes.set_index("id").loc[IDS[::-1]], edges).ids.to_pylist()[0] == "yew"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": np.array([("oak", "ash"), ("elm",)], dtype=object)}, "'edges' must be"),
        ({"splits": {"train": 3, "val": [1]}}, "'splits' must be a mask of 4"),
        ({"splits": ["train", "val", "val", "train"]}, "'splits' must be a dict .* not list"),
    ],
)
def test_what_is_no_pair_and_no_part_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        from_arrays(**changes)
