"""Graphs from arrays and columns of every type of NumPy, pandas, Polars and torch."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.graph.readers.test_memory import (
    EDGES,
    IDS,
    LABELS,
    TEXTS,
    edge_columns,
    from_arrays,
    node_columns,
)
from understudy import Graph
from understudy.graph import BadInputError


def test_what_is_masked_is_no_value() -> None:
    gaps = [False, False, True, False]
    numbers = np.ma.array([1, 1, 0, 0], mask=gaps)
    graph = from_arrays(labels=numbers, label_names=["needled", "leafy"])
    assert graph.content_hash == from_arrays().content_hash
    words = np.ma.array(["leafy", "leafy", "leafy", "needled"], mask=gaps)
    assert from_arrays(labels=words).content_hash == from_arrays().content_hash
    unmasked = np.ma.array(np.array([[0, 1], [2, 1], [2, 3]]))
    assert from_arrays(ids=None, edges=unmasked).adjacency.num_edges == 3
    pairs = np.ma.array([[0, 1], [2, 3]], mask=[[False, False], [True, True]])
    with pytest.raises(BadInputError, match="'edges' must be pairs"):
        from_arrays(ids=None, edges=pairs)
    with pytest.raises(BadInputError, match="'y' is an array some of whose values are masked"):
        Graph.from_pyg({"edge_index": np.array([[0], [1]]), "y": numbers}, TEXTS)


def test_arrays_of_another_order_of_bytes() -> None:
    edges = np.array([[0, 1], [2, 1], [2, 3]])
    expected = from_arrays(ids=None, labels=np.array([7, 7, -1, 3]), edges=edges)
    swapped = np.array([7, 7, -1, 3], ">i4")
    split = {"train": np.array([0, 3], ">i8"), "val": np.array([1], ">i2")}
    graph = from_arrays(ids=None, labels=swapped, edges=edges.astype(">i4"), splits=split)
    assert graph.content_hash == expected.content_hash
    data = {"edge_index": edges.T.astype(">i8"), "y": swapped, "train_idx": split["train"]}
    given = Graph.from_pyg(data | {"val_idx": split["val"], "texts": np.array(TEXTS, ">U20")})
    assert given.content_hash == expected.content_hash


def test_strings_of_any_length_of_numpy() -> None:
    kind = np.dtypes.StringDType(na_object=None)
    graph = from_arrays(texts=np.array(TEXTS, kind), labels=np.array(LABELS, kind))
    assert graph.content_hash == from_arrays().content_hash


def test_a_tensor_that_learns() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    labels = torch.tensor([1.0, 1.0, float("nan"), 0.0], requires_grad=True)
    graph = from_arrays(labels=labels, label_names=["needled", "leafy"])
    assert graph.content_hash == from_arrays().content_hash


def test_columns_of_pandas_with_gaps_and_with_names_by_class() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    numbers = pandas.Series([1, 1, None, 0], dtype="Int64")
    names = pandas.DataFrame({"number": [1, 0], "name": ["leafy", "needled"]})
    by_number = names.set_index("number")["name"]  # whose first row is of class 1
    graph = from_arrays(labels=numbers, label_names=by_number)
    assert graph.content_hash == from_arrays().content_hash
    by_class = pandas.Series(["needled", "leafy"])
    assert from_arrays(labels=numbers, label_names=by_class).content_hash == graph.content_hash
    of_nodes = pandas.Series(["leafy", "leafy", None, "needled"], index=[9, 7, 5, 3])
    assert from_arrays(labels=numbers, label_names=of_nodes).content_hash == graph.content_hash
    masks = pandas.DataFrame(
        {"train": [True, False, False, True], "val": [False, True] + [False] * 2}
    )
    assert from_arrays(splits=masks).content_hash == from_arrays().content_hash
    with pytest.raises(BadInputError, match=r"'splits' must be a dict .* not Series"):
        from_arrays(splits=pandas.Series(["train", "val", "val", "train"]))
    twice = pandas.Series(["leafy", "needled", "shrub"], index=[1, 0, 1])
    with pytest.raises(BadInputError, match="gives one class two names"):
        from_arrays(labels=numbers, label_names=twice)


class Lists:
    """A column of Polars, which has no `tolist`."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def to_list(self) -> list[Any]:
        return self.values

    def to_numpy(self) -> Any:
        return np.array(self.values, dtype=object)


def test_columns_of_polars() -> None:
    graph = from_arrays(texts=Lists(TEXTS), ids=Lists(IDS), labels=Lists(LABELS))
    assert graph.content_hash == from_arrays().content_hash


def test_edges_between_numbers_of_any_size() -> None:
    ids = [2**70 + number for number in range(4)]
    graph = from_arrays(ids=ids, edges=[(ids[0], ids[1]), (ids[2], ids[1]), (ids[2], ids[3])])
    assert graph.adjacency.edges().tolist() == from_arrays().adjacency.edges().tolist()


def test_positions_that_are_ids_as_well_are_told(caplog: pytest.LogCaptureFixture) -> None:
    remark = "the numbers in 'splits' are read as positions of nodes, from 0, though each"
    counted = {"ids": [1, 2, 3, 4], "edges": [(1, 2)], "labels": list("abab")}
    split = {"train": [2, 3], "val": [1]}
    assert from_arrays(**counted, splits=split).splits["train"].tolist() == [2, 3]
    assert any(remark in message for message in caplog.messages)
    caplog.clear()
    from_arrays(**counted, splits={"train": np.array([True, True, False, False]), "val": [2]})
    from_arrays(**counted, splits={"train": [0, 3], "val": [1]})
    from_arrays(**(counted | {"ids": [0, 1, 2, 3]}), splits={"train": [0, 1], "val": [2]})
    assert not any(remark in message for message in caplog.messages)


def test_what_is_no_array_and_no_name_is_told() -> None:
    with pytest.raises(BadInputError, match=r"'edges' must be a dense .* not generator"):
        from_arrays(edges=(pair for pair in EDGES))
    with pytest.raises(BadInputError, match="text_field must be a name or a list of names, not 1"):
        Graph.from_pandas(node_columns(), edge_columns(), text_field=1)  # type: ignore[arg-type]


def test_neighbors_that_their_type_may_have_rounded_are_refused() -> None:
    lists = pa.array([[2.0], [1.0], [2.0**24], []], pa.list_(pa.float32()))
    nodes = pa.table({**node_columns(), "id": [1, 2, 2**24 + 1, 2**24], "neighbors": lists})
    with pytest.raises(BadInputError, match="row 3: column 'neighbors' must be at most 16,777,215"):
        Graph.from_pandas(nodes)


@pytest.mark.parametrize("field", ["id_field", "label_field", "group_field", "source_field"])
@pytest.mark.parametrize("value", [None, 0, 2])
def test_what_is_no_name_of_a_column_is_told(field: str, value: Any) -> None:
    with pytest.raises(BadInputError, match=rf"{field} must be a name, 'none' .*, not {value}; "):
        Graph.from_pandas(node_columns(), edge_columns(), **{field: value})


def test_what_is_no_name_of_an_attribute_is_told() -> None:
    data = {"edge_index": np.array([[0], [1]]), "y": np.array([0, 1, 1, 0])}
    none: Any = None  # which is no way to say that labels are not to be read
    with pytest.raises(BadInputError, match="label_key must be a name, 'none' to read none"):
        Graph.from_pyg(data, TEXTS, label_key=none)
    assert Graph.from_pyg(data, TEXTS, label_key="none").num_classes == 0
