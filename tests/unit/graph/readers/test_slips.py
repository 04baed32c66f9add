"""Accidental damage by people and programs that would change a graph unnoticed."""

import gzip
import io
import json
import os
import re
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.graph.readers.shapes import EDGES, NODES, TEXTS, Import, edges, names, remarks_of
from understudy.graph import BadInputError, SourceError
from understudy.graph.building.builder import Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import SplitFile, import_graph


def indexed(text: str) -> str:
    """A table as pandas writes it unless told not to: behind a column that has no name."""
    header, *rows = text.splitlines()
    return "\n".join([f",{header}", *(f"{number},{row}" for number, row in enumerate(rows))])


def test_an_index_without_a_name_is_no_column_of_a_graph(import_text: Import) -> None:
    nodes = "id,text,label\n2,oak and ash,tree\n1,salt,stone\n0,elm,tree\n"
    built = import_text(indexed(nodes), indexed("source,target\n2,1\n1,0\n"))
    assert built.graph.ids.to_pylist() == ["2", "1", "0"]
    assert built.graph.texts.to_pylist() == TEXTS
    assert names(built.graph) == ["tree", "stone", "tree"]
    assert edges(built) == [[0, 1], [1, 2]]
    assert import_text('{"": 5, "id": 1, "text": "a"}', None, node_name="n.jsonl").graph.ids[0]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_header_of_a_second_part_is_no_node(import_text: Import, mark: str) -> None:
    again = f"{NODES}{mark}id, text,label\n4,fir,tree\n"
    with pytest.raises(BadInputError, match=r"nodes\.csv:5: the header again.* remove the line"):
        import_text(again)


def test_marks_before_a_header_are_no_part_of_a_name(import_text: Import) -> None:
    built = import_text(f"\ufeff\ufeff{NODES}", f"\ufeff\ufeff{EDGES}")
    assert (built.graph.texts.to_pylist(), edges(built)) == (TEXTS, [[0, 1], [1, 2]])


@pytest.mark.parametrize("content", ['{"id": 1, "text": "a"}\n', "[\n", '[{"id": 1}]'])
def test_json_under_the_name_of_a_table_is_named(import_text: Import, content: str) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv: not columns but JSON; let its name end"):
        import_text(content)


@pytest.mark.parametrize("fields", [EdgeFields("source", "source"), EdgeFields(source="target")])
def test_one_column_is_not_both_ends_of_an_edge(import_text: Import, fields: EdgeFields) -> None:
    with pytest.raises(BadInputError, match=r"edges\.csv:1: column '\w+' would be both ends"):
        import_text(NODES, EDGES, edge_fields=fields)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 2\r2 3\r\n", r"e\.txt:1: a carriage return alone ends a line.*tr '\\r' '\\n'"),
        ("1 2\n2 3 1\n", r"e\.txt:2: 3 fields where the first edge has 2.*adjacency list"),
        ("1,2\n1,2,3\n", r"e\.txt:2: 3 fields where the first edge has 2"),
    ],
)
def test_an_edge_list_loses_no_edge_of_a_line(
    import_text: Import, content: str, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        import_text(NODES, content, edge_name="e.txt")


@pytest.mark.parametrize("first", ["{'weight': 3, 'year': 1998}", "{}"])
def test_an_edge_list_with_attributes_as_networkx_writes_them(
    import_text: Import, first: str
) -> None:
    built = import_text(NODES, f"1 2 {first}\n2 3 {{'weight': 1}}\n", edge_name="e.edgelist")
    assert edges(built) == [[0, 1], [1, 2]]


def test_carriage_returns_among_other_ends_of_lines_are_named(import_text: Import) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv:1: a carriage return alone ends a line"):
        import_text(NODES.replace("\n", "\r") + "\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(NODES.encode(), mtime=0), r"packed by gzip; let its name end in \.gz"),
        (
            b"PK\x03\x04\x14\x00\x06\x00" * 9,
            r"a zip archive .* or a spreadsheet .save the sheet as CSV",
        ),
        (b"PAR1\x15\x04", r"Parquet; let its name end in \.parquet"),
        (b"\x28\xb5\x2f\xfd\x04", "packed by zstd; unpack it"),
        (NODES.encode("utf-32"), "UTF-32; convert it: iconv -f UTF-32"),
    ],
    ids=["gzip", "zip", "parquet", "zstd", "utf-32"],
)
def test_another_kind_of_file_is_named(import_text: Import, content: bytes, message: str) -> None:
    with pytest.raises(BadInputError, match=rf"nodes\.csv: not UTF-8 but .*{message}"):
        import_text(content)


def test_whole_numbers_of_a_database_are_ids_and_labels(
    tmp_path: Path, import_text: Import
) -> None:
    stream = io.BytesIO()
    columns = {
        "id": pa.array([Decimal(10**30), Decimal(2), Decimal(3)], pa.decimal128(38, 0)),
        "text": TEXTS,
        "label": pa.array([Decimal("1.00"), None, Decimal("2.00")]),
    }
    pq.write_table(pa.table(columns), stream)
    graph = import_text(stream.getvalue(), None, node_name="n.parquet").graph
    assert graph.ids.to_pylist() == [str(10**30), "2", "3"]
    assert names(graph) == ["1", None, "2"]
    columns["label"] = pa.array([Decimal("1.50"), None, Decimal("2.00")])
    pq.write_table(pa.table(columns), tmp_path / "n.parquet")
    with pytest.raises(BadInputError, match="row 1: column 'label' must be a string or whole num"):
        import_text((tmp_path / "n.parquet").read_bytes(), None, node_name="n.parquet")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"train": [1, 3], "val": [2], "valid": []}', "'val' and 'valid' both mean val"),
        ('{"train": [1, 3], "train": [2]}', "two keys 'train'"),
        ('{"train": [' + "1" * 5000 + "]}", "limit"),
        ("[" * 100_000, "nested too deeply"),
        ('{"train": ["\\ud800"]}', "half a character"),
        ('{"train":\n[1, 3}', r"s\.json:2: broken JSON at column 6"),
    ],
)
def test_what_is_wrong_with_a_file_of_splits_is_one_line(
    import_text: Import, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(BadInputError, match=message) as caught:
        import_text(NODES, EDGES, splits=SplitFile(tmp_path / "s.json"))
    assert str(caught.value).startswith(f"{tmp_path / 's.json'}:")
    assert "\n" not in str(caught.value)


def test_members_of_splits_are_ids_that_pandas_has_made_floats(
    import_text: Import, tmp_path: Path
) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"train": [1, 2], "test": ["3"]}))
    nodes = NODES.replace("1,", "1.0,").replace("2,", "2.0,").replace("3,", "3.0,")
    built = import_text(nodes, EDGES, splits=SplitFile(tmp_path / "s.json"))
    parts = {name: built.graph.ids.take(m).to_pylist() for name, m in built.graph.splits.items()}
    assert parts == {"train": ["1", "2"], "test": ["3"]}
    assert "members are node ids" in remarks_of(built)


def test_classes_that_look_alike_are_told(import_text: Import) -> None:
    nodes = "id,text,label\na,oak,Tree\nb,elm,tree\nc,salt,pie\u0301ton\nd,ore,pi\u00e9ton\n"
    remarks = " ".join(import_text(nodes).remarks)
    assert "'Tree', 'tree'; 'pi" in remarks
    assert "only case, blanks or accents' coding differ" in remarks
    assert "coding" not in " ".join(import_text(NODES).remarks)


def test_a_text_that_is_named_as_the_label_is_told_to_be_missing_as_text(
    import_text: Import,
) -> None:
    with pytest.raises(BadInputError, match=r"column 'text' is the label, as --label-field says"):
        import_text("id,text\na,oak\n", node_fields=NodeFields(label="text"))


def test_ids_that_look_alike_are_told_with_their_lines(import_text: Import) -> None:
    nodes = "id,text\nRoom 1,one\nb,two\nroom  1,three\ncafe\u0301,four\nB,five\ncaf\u00e9,six\n"
    built = import_text(nodes)
    remarks = " ".join(built.remarks)
    assert re.search(r"'Room 1' \(\S+nodes\.csv:2\), 'room  1' \(\S+nodes\.csv:4\); 'b' ", remarks)
    assert re.search(
        r"'caf\u00e9' \(\S+nodes\.csv:7\): nodes of their own, though only case", remarks
    )
    assert built.graph.num_nodes == 6
    assert "coding" not in " ".join(import_text(NODES).remarks)
    many = "id,text\n" + "".join(f"a{n},one\nA{n},two\n" for n in range(8))
    assert "; and 3 more groups: nodes of their own" in " ".join(import_text(many).remarks)


def test_ids_that_write_one_number_in_several_ways_are_told_with_their_lines(
    import_text: Import,
) -> None:
    numbers = ("1e5", "100000", "7", "07", "+7.0", "0.50", "0.5", "-0", "0", "-1", "+-1", "70", "x")
    nodes = "id,text\n" + "".join(f"{number},one\n" for number in numbers)
    built = import_text(nodes)
    remarks = " ".join(built.remarks)
    assert built.graph.num_nodes == len(numbers)
    assert re.search(
        r"'1e5' \(\S+nodes\.csv:2\), '100000' \(\S+nodes\.csv:3\); '7' \S+, '07' \S+, "
        r"'\+7\.0' \S+; '0\.50' \S+, '0\.5' \S+; '-0' \S+, '0' \S+: read as different nodes, "
        "though their ids are the same number",
        remarks,
    )
    assert "the same number" not in " ".join(import_text(NODES).remarks)


def test_ids_that_are_one_number_with_its_thousands_set_apart_are_told_with_their_lines(
    import_text: Import,
) -> None:
    told = " ".join(import_text('id,text\n"1,234",one\n1234,two\n"5,678",three\n').remarks)
    assert re.search(r"'1,234' \(\S+nodes\.csv:2\), '1234' \(\S+nodes\.csv:3\): read as", told)
    assert "thousands set apart" in told
    assert "5,678" not in told


def test_graded_nodes_with_the_text_of_a_training_node_are_told(import_text: Import) -> None:
    nodes = "id,text,label,split\na,oak,x,train\nb,elm,y,train\nc,oak,x,val\nd,ash,y,val\n"
    (remark,) = import_text(nodes + "e,elm,y,test\nf,fir,x,test\n", "source,target\na,b\n").remarks
    assert remark.startswith("1 of 2 nodes of val and 1 of 2 nodes of test have exactly the text")
    assert "('oak')" in remark
    assert "--group-field" in remark
    once = nodes.replace("c,oak", "c,yew") + "e,box,y,test\nf,fir,x,test\n"
    assert not import_text(once, "source,target\na,b\n").remarks


def test_what_cannot_be_read_twice_or_at_all_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "nodes.csv")
    for path, message in (
        (tmp_path / "nodes.csv", r"nodes\.csv: a pipe, which can be read only once"),
        (Path("https://example.org/nodes.csv"), r"nodes\.csv is a URL, but .*copy from"),
    ):
        with pytest.raises(SourceError, match=message):
            import_graph([path], [], NodeFields(), EdgeFields(), Rules())


def test_edges_that_a_graph_file_has_besides_are_told(import_text: Import) -> None:
    nodes = [{"id": number, "text": text} for number, text in enumerate(TEXTS, 1)]
    graph = json.dumps({"nodes": nodes, "links": [{"source": 1, "target": 3}]})
    built = import_text(graph, EDGES, node_name="g.json")
    assert edges(built) == [[0, 1], [1, 2]]
    assert "its own edges are ignored, since --edges is given" in remarks_of(built)
    assert "not read" not in remarks_of(import_text(graph, None, node_name="g.json"))
    assert "not read" not in remarks_of(
        import_text(graph, graph, node_name="g.json", edge_name="g.json")
    )
