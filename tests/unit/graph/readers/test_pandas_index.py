"""A counting index of pandas is not read as a column."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from understudy import Graph
from understudy.graph import BadInputError
from understudy.graph.building.builder import Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph
from understudy.graph.readers.pandas_index import NOTE, counted_index

pd = pytest.importorskip("pandas", reason="pandas is not installed")

TEXTS = ["an oak in a park", "an elm by the road", "a yew in a churchyard"]
NODES = pd.DataFrame({"id": [7, 8, 9], "text": TEXTS, "label": ["oak", "elm", "yew"]})
EDGES = pd.DataFrame({"source": [7, 8], "target": [9, 7]})


def test_ids_that_count_are_read_from_files_and_tables(tmp_path: Path) -> None:
    counted = NODES.set_index("id")
    counted.to_parquet(tmp_path / "nodes.parquet")
    EDGES.to_parquet(tmp_path / "edges.parquet")
    assert "id" not in pq.read_schema(tmp_path / "nodes.parquet").names  # by pandas 3
    paths = [tmp_path / "nodes.parquet"], [tmp_path / "edges.parquet"]
    built = import_graph(*paths, NodeFields(), EdgeFields(), Rules())
    expected = Graph.from_pandas(NODES, EDGES, name="trees")
    assert built.graph.ids.to_pylist() == ["7", "8", "9"]
    assert built.graph.texts.equals(expected.texts)
    table = pa.Table.from_pandas(counted)
    assert Graph.from_pandas(table, EDGES, name="trees").content_hash == expected.content_hash


def test_a_part_of_such_a_file_has_no_index_of_its_own(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(NODES.set_index("id"))
    pq.write_table(table.slice(1), tmp_path / "nodes.parquet")
    with pytest.raises(BadInputError, match=r"nodes\.parquet: no column 'id'"):
        import_graph([tmp_path / "nodes.parquet"], [], NodeFields(id="id"), EdgeFields(), Rules())


@pytest.mark.parametrize(
    "note",
    [
        b"{",
        b"[]",
        b'{"index_columns": 3}',
        b'{"index_columns": [{"kind": "range", "name": "id", "start": 0, "stop": 3, "step": 0}]}',
        b'{"index_columns": [{"kind": "range", "name": "id", "start": 0, "stop": "3", "step": 1}]}',
        b'{"index_columns": [{"kind": "range", "name": "id", "start": 0, "stop": %d, "step": 1}]}'
        % (10**30),
        b'{"index_columns": [{"kind": "range", "name": null, "start": 0, "stop": 3, "step": 1}]}',
        b'{"index_columns": [{"kind": "range", "name": "text", "start": 0, "stop": 3, "step": 1}]}',
    ],
)
def test_notes_that_name_no_index_say_nothing(note: bytes) -> None:
    schema = pa.schema([pa.field("text", pa.string())], {NOTE: note})
    assert counted_index(schema, 3) is None


def test_columns_in_different_orders_by_their_indexes_are_refused() -> None:
    texts, labels = pd.Series(TEXTS), pd.Series(["yew", "elm", "oak"], index=[2, 1, 0])
    with pytest.raises(BadInputError, match=r"'texts' and 'labels' .*\.reindex\(texts\.index\)"):
        Graph.from_arrays(texts, [(0, 1)], labels=labels)
    with pytest.raises(BadInputError, match=r"'texts' and 'ids' are pandas columns"):
        Graph.from_arrays(texts, [("a", "b")], ids=pd.Series(list("abc"), index=[1, 2, 3]))
    aligned = Graph.from_arrays(texts, [(0, 1)], labels=labels.reindex(texts.index))
    assert [aligned.label_names[label] for label in aligned.labels] == ["oak", "elm", "yew"]
    by_position = Graph.from_arrays(TEXTS, [(0, 1)], labels=labels)
    assert [by_position.label_names[label] for label in by_position.labels] == ["yew", "elm", "oak"]
