"""Tables in memory: columns of mixed types, and values that are no table."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from understudy import Graph
from understudy.graph.errors import BadInputError

pd = pytest.importorskip("pandas", reason="pandas is not installed")
networkx = pytest.importorskip("networkx", reason="NetworkX is not installed")

TEXTS = ["A loaf of rye", "A pot of soup", "A bed of roses", "A row of beans"]
EDGES = {"source": ["1", "3"], "target": ["2", "4"]}


def columns(**others: list[Any]) -> dict[str, list[Any]]:
    """Four nodes whose column `note` holds what Arrow has no one type for."""
    nodes: dict[str, list[Any]] = {"id": [1, 2, 3, 4], "text": TEXTS, "label": ["k", "k", "g", "g"]}
    return nodes | {"note": [7, "seven", object(), 1j]} | others


@pytest.mark.parametrize("table", [pd.DataFrame, dict], ids=["pandas", "dict"])
def test_columns_of_several_types_are_no_obstacle_where_nobody_asks_for_them(table: Any) -> None:
    graph = Graph.from_pandas(table(columns()), table(EDGES))
    without = {name: values for name, values in columns().items() if name != "note"}
    assert graph.content_hash == Graph.from_pandas(table(without), EDGES).content_hash
    assert graph.reading["files"][0]["unread"] == ["note"]


@pytest.mark.parametrize("table", [pd.DataFrame, dict], ids=["pandas", "dict"])
def test_names_of_several_types_are_read_as_those_of_json_lines(table: Any) -> None:
    ids = [1, "2", 3.0, Decimal(4)]
    labels = [1, "1", None, float("nan")]
    graph = Graph.from_pandas(table(columns(id=ids, label=labels)), table(EDGES))
    assert graph.ids.to_pylist() == ["1", "2", "3", "4"]
    assert graph.label_names == ("1",)
    assert graph.labels.tolist() == [0, 0, -1, -1]


def test_an_index_that_counts_is_still_a_column() -> None:
    frame = pd.DataFrame(columns()).drop(columns="id")
    frame.index = pd.RangeIndex(1, 5, name="id")
    assert Graph.from_pandas(frame, EDGES).ids.to_pylist() == ["1", "2", "3", "4"]


def test_a_frame_is_left_as_it_was() -> None:
    frame = pd.DataFrame(columns())
    Graph.from_pandas(frame, EDGES)
    assert frame["note"].tolist()[:2] == [7, "seven"]


def test_a_bad_value_of_such_a_column_is_named_by_row() -> None:
    message = "nodes row 3: column 'label' must be a string or whole number, found 2.5"
    with pytest.raises(BadInputError, match=message):
        Graph.from_pandas(columns(label=["k", 1, 2.5, "g"]), EDGES)


@pytest.mark.parametrize("edges", [[(1, 2)], "pairs.csv", pa.array([1, 2]).to_numpy()])
def test_what_is_no_table_is_told(edges: Any) -> None:
    message = "edges: expected a table, such as a DataFrame or a dict of columns, not .*from_arrays"
    with pytest.raises(BadInputError, match=message):
        Graph.from_pandas(columns(), edges)


def test_columns_of_different_lengths_are_told() -> None:
    with pytest.raises(BadInputError, match=r"nodes: not a table that Arrow reads: .*length"):
        Graph.from_pandas(columns(note=[1, "one"]), EDGES)


def test_columns_that_were_found_by_their_names_are_told(caplog: pytest.LogCaptureFixture) -> None:
    nodes = {"key": ["1", "2", "3", "4"], "title": TEXTS, "subject": ["k", "k", "g", "g"]}
    Graph.from_pandas(nodes, EDGES)
    remark = "graph: columns found by their names: "
    found = [message for message in caplog.messages if message.startswith(remark)]
    assert found == [f"{remark}nodes: id=key, text=title, label=subject"]
    caplog.clear()
    Graph.from_pandas(
        nodes,
        EDGES,
        id_field="key",
        text_field="title",
        label_field="subject",
        source_field="source",
        target_field="Target",
    )
    assert not any("found by their names" in message for message in caplog.messages)


def test_attributes_that_were_found_by_their_names_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = networkx.Graph()
    for number, text in enumerate(TEXTS):
        network.add_node(number, summary=text, category="kg"[number // 2], weight=1.0)
    Graph.from_networkx(network, text_field="summary")
    remark = "graph: columns found by their names: nodes: id=id, text=summary, label=category"
    assert f"{remark}; not read: weight" in caplog.messages
    caplog.clear()
    Graph.from_networkx(network, text_field="summary", label_field="none")
    assert not any("found by their names" in message for message in caplog.messages)
