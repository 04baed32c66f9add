"""Values and files that do not mean what they seem to, and the remarks about them."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.graph.readers.shapes import EDGES, NODES, Import, edges, names, remarks_of
from understudy.graph import BadInputError, SourceError
from understudy.graph.building.cells import neighbors_of
from understudy.graph.readers.files import SplitFile
from understudy.graph.readers.formats import suffix_of
from understudy.graph.readers.jsonl import read_document

LABELLED = "id,text,label\n1,a,{}\n2,b,{}\n3,c,{}\n"


def parquet(**columns: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def test_a_list_of_one_label_is_that_label_however_it_is_written(import_text: Import) -> None:
    for written in ('[\'x\'],"[""y""]",[1]', "[],[other],x"):
        rows = LABELLED.format(*written.split(","))
        expected = ["x", "y", "1"] if written[1] == "'" else [None, "[other]", "x"]
        assert names(import_text(rows, None).graph) == expected
    stream = parquet(id=[1, 2], text=["a", "b"], label=["['x']", "y"])
    assert names(import_text(stream, None, node_name="n.parquet").graph) == ["x", "y"]


@pytest.mark.parametrize("written", ["\"['x', 'y']\"", "['x' 'y']", '"[""x"", ""y""]"'])
def test_a_list_of_several_labels_is_refused_as_in_json(import_text: Import, written: str) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv:3: label .* must be one label, not sev"):
        import_text(LABELLED.format("x", written, "y"), None)


def test_labels_that_are_others_put_together_are_told(import_text: Import) -> None:
    for sign in (";", "|", "/"):
        built = import_text(LABELLED.format(f"x{sign} y", "x", "y"), None)
        assert f"1 of 3 classes combines others, such as 'x{sign} y'" in " ".join(built.remarks)
    assert "together" not in " ".join(import_text(LABELLED.format("a;b", "x", "y"), None).remarks)


def test_an_array_that_numpy_wrote_is_several_neighbors() -> None:
    assert neighbors_of("['1' '2']") == ["1", "2"]
    assert neighbors_of("['1'\n '22' \"3\"]") == ["1", "22", "3"]
    assert neighbors_of("[1 2 3]") == ["1", "2", "3"]
    assert neighbors_of("['1']") == ["1"]


def test_where_a_node_is_drawn_is_no_label(import_text: Import) -> None:
    built = import_text("id,text,X,y\n1,a,0.5,2\n2,b,1.5,3\n", None)
    assert built.graph.num_classes == 0
    assert "not read: X, y" in remarks_of(built)
    assert import_text("id,text,y\n1,a,2\n2,b,3\n", None).graph.label_names == ("2", "3")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("n.jsonl", b'{"id": 9007199254740993.0, "text": "a"}\n'),  # which JSON reads as ...992.0
        ("n.parquet", parquet(id=[float(2**53)], text=["a"])),
        ("n.parquet", parquet(id=pa.array(np.array([2049], np.float16)), text=["a"])),
        ("n.parquet", parquet(id=pa.array(np.array([-2048], np.float16)), text=["a"])),
    ],
)
def test_numbers_that_another_may_have_been_rounded_to_are_no_ids(
    import_text: Import, name: str, content: bytes
) -> None:
    with pytest.raises(BadInputError, match=r"must be at most .* above which its type rounds"):
        import_text(content, None, node_name=name)


def test_whole_numbers_of_short_floats_are_ids(import_text: Import) -> None:
    content = parquet(id=pa.array(np.array([2047, 3], np.float16)), text=["a", "b"])
    assert import_text(content, None, node_name="n.parquet").graph.ids.to_pylist() == ["2047", "3"]


@pytest.mark.parametrize(
    ("node", "end"), [("007", "7"), ("7", "007"), ("1e5", "100000"), ("1.50", "1.5")]
)
def test_an_id_that_is_the_same_number_written_otherwise_is_named(
    import_text: Import, node: str, end: str
) -> None:
    with pytest.raises(BadInputError, match=f"'{end}' is no node's id, though '{node}' is, which"):
        import_text(f"id,text\n{node},a\nb,c\n", f"source,target\n{end},b\n")


def test_rows_of_empty_fields_are_passed_over_and_told(import_text: Import) -> None:
    built = import_text(
        "id,text,label\na,oak,tall\n,,,,\nb,elm,\n , ,\n", "source,target\na,b\n,\n"
    )
    assert built.graph.ids.to_pylist() == ["a", "b"]
    assert built.graph.adjacency.num_edges == 1
    assert "rows without any value, skipped: 2 (first: line 3)" in remarks_of(built)
    assert "rows without any value, skipped: 1 (first: line 3)" in remarks_of(built)
    with pytest.raises(BadInputError, match=r"nodes\.csv:3: the node's id is empty"):
        import_text("id,text,label\na,oak,tall\n,,short\n")


def test_a_quote_that_may_have_swallowed_records_is_told(import_text: Import) -> None:
    nodes = 'id,text\n1,"oak\n2,elm\n3,ash"\n4,fir\n'
    built = import_text(nodes, None)
    assert "could be records by themselves: 1 (first: line 2)" in remarks_of(built)
    for text in ('"one, two\nthree"', '"one\ntwo"', '"a\nb, c\nd"'):
        assert "records" not in remarks_of(import_text(f"id,text\n1,{text}\n", None))
    with pytest.raises(BadInputError, match=r"csv:3: broken quoting: a quote opens a field, and"):
        import_text('id,text\n1,oak\n2,"elm\n3,ash\n', None)


def test_a_file_that_is_packed_twice_is_told(import_text: Import) -> None:
    twice = gzip.compress(gzip.compress(NODES.encode()))
    with pytest.raises(BadInputError, match="not UTF-8 but packed by gzip a second time; unpack"):
        import_text(twice, None, node_name="nodes.csv.gz")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("n.csv.zst", "packed by zstd; unpack it: zstd -d"),
        ("n.csv.GZIP", "let its name end in .gz"),
        ("n.xlsx", "a spreadsheet; save the sheet as CSV"),
        ("-", "stdin is not supported"),
        ("/dev/stdin", "stdin is not supported"),
        ("g.xml", "let its name end in .graphml or .gexf"),
        ("n.txt", "is detected, another one is given with --delimiter"),
        ("g.pt", "is read by `understudy data pyg`"),
        ("n.feather", "save it as .parquet"),
        ("graph.bin", "if it is a graph of DGL: where DGL is installed, graph = dgl.load_graphs"),
        ("graph.dgl", "'raw_texts': texts}, 'graph.pt'), and `understudy data pyg` reads that"),
    ],
)
def test_what_a_file_of_another_kind_is_and_what_to_do(name: str, advice: str) -> None:
    with pytest.raises(SourceError, match=r"unknown format .*; the name must end in") as caught:
        suffix_of(Path(name), "nodes")
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        {"id": {"0": 1}, "text": {"0": "a"}},
        {"columns": ["id"], "index": [0], "data": [[1]]},
        {"elements": {"nodes": [], "edges": []}},
    ],
)
def test_a_table_by_its_columns_in_one_line_is_no_record(
    tmp_path: Path, content: dict[str, object]
) -> None:
    (tmp_path / "n.json").write_text(json.dumps(content))
    with pytest.raises(BadInputError, match=r"n\.json: expected one object a line, .*to_json"):
        read_document(tmp_path / "n.json")


@pytest.mark.parametrize(
    ("name", "content"), [("n.jsonl", '{"words": 1}\n'), ("n.parquet", parquet(words=["a"]))]
)
def test_no_header_is_advised_only_where_there_is_one(
    import_text: Import, name: str, content: str | bytes
) -> None:
    with pytest.raises(BadInputError, match=r"no column 'id'.*--id-field$"):
        import_text(content, None, node_name=name)
    with pytest.raises(BadInputError, match=r"no column 'id'.*if this is no header but data, use"):
        import_text("words\na\n", None)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"train": [1, 2], "test": [3], "unlabeled": []}, {"train": [1, 2], "test": [3]}),
        ({"train": [1.0, 2.0], "val": [3]}, {"train": [1, 2], "val": [3]}),
        ({"a": {"train": [1, 2], "none": [3]}}, {"train": [1, 2]}),
    ],
)
def test_splits_as_others_write_them(
    import_text: Import, tmp_path: Path, split: dict[str, object], expected: dict[str, list[int]]
) -> None:
    (tmp_path / "s.json").write_text(json.dumps(split))
    graph = import_text(NODES, EDGES, splits=SplitFile(tmp_path / "s.json")).graph
    ids = {name: graph.ids.take(pa.array(m)).to_pylist() for name, m in graph.splits.items()}
    assert ids == {name: list(map(str, members)) for name, members in expected.items()}


@pytest.mark.parametrize("split", [{"train": [1, 2], "more": [3]}, {"a": {"more": [3]}}])
def test_a_word_that_is_no_part_of_a_split_is_named(
    import_text: Import, tmp_path: Path, split: dict[str, object]
) -> None:
    (tmp_path / "s.json").write_text(json.dumps(split))
    with pytest.raises(BadInputError, match=r"s\.json: 'more' is no part of a split"):
        import_text(NODES, EDGES, splits=SplitFile(tmp_path / "s.json"))


GRAPHML = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="t" for="node" attr.name="text" attr.type="string"/><graph edgedefault="undirected">
<node id="a"><data key="t">oak</data></node><node id="b"><data key="t">elm</data></node>
<edge source="a" target="b"/><edge source="a" target="c"/></graph></graphml>"""


def test_a_node_that_only_an_edge_of_graphml_names_is_unknown(import_text: Import) -> None:
    with pytest.raises(BadInputError, match=r"edge 2: the edge's target 'c' is no node's id; add"):
        import_text(GRAPHML, None, node_name="g.graphml")
    built = import_text(GRAPHML, None, node_name="g.graphml", skip_unknown=True)
    assert edges(built) == [[0, 1]]
    assert built.graph.num_nodes == 2


@pytest.mark.parametrize(
    "name",
    [
        *("http://www.gexf.net/1.2draft", "http://gexf.net/1.2draft", "http://gexf.net/1.3"),
        *("http://www.gexf.net/1.3", "http://www.gexf.net/1.1draft"),
    ],
)
def test_gexf_of_every_spelling_of_its_version(import_text: Import, name: str) -> None:
    version = name.rpartition("/")[2].removesuffix("draft")
    content = (
        f'<gexf xmlns="{name}" xmlns:viz="{name}/viz" version="{version}">'
        '<graph defaultedgetype="undirected"><attributes class="node">'
        '<attribute id="0" title="text" type="string"/></attributes><nodes>'
        '<node id="1" label="A"><attvalues><attvalue for="0" value="oak"/></attvalues></node>'
        '<node id="2" label="B"><attvalues><attvalue for="0" value="elm"/></attvalues></node>'
        '</nodes><edges><edge id="0" source="1" target="2"/></edges></graph></gexf>'
    )
    built = import_text(content, None, node_name="g.gexf")
    assert built.graph.texts.to_pylist() == ["oak", "elm"]
    assert edges(built) == [[0, 1]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS in"),
        (b"<!DOCTYPE html>\n<html>\n", "an HTML page, perhaps a server's error"),
        (b"<HTML><body>gone</body></HTML>\n", "an HTML page"),
    ],
)
def test_what_only_stands_for_a_file_is_named(
    import_text: Import, tmp_path: Path, content: bytes, message: str
) -> None:
    for name in ("n.csv", "n.json"):
        with pytest.raises((BadInputError, SourceError), match=rf"{name}: {message}"):
            import_text(content, None, node_name=name)
    if content.startswith(b"version"):
        with pytest.raises(SourceError, match=rf"n\.parquet: {message}"):
            import_text(content, None, node_name="n.parquet")


def test_classes_that_write_one_number_in_several_ways_are_told(import_text: Import) -> None:
    remarks = " ".join(import_text(LABELLED.format("1", "01", "x"), None).remarks)
    assert "'01', '1': read as different classes, though they are the same number" in remarks
    assert "same number" not in " ".join(import_text(LABELLED.format("1", "2", "x")).remarks)


@pytest.mark.parametrize("grouped", ['"1,000"', "1 000", "1.000", "1'000"])
def test_classes_that_are_one_number_with_its_thousands_set_apart_are_told(
    import_text: Import, grouped: str
) -> None:
    remarks = " ".join(import_text(LABELLED.format(grouped, "1000", "x"), None).remarks)
    assert "read as different classes, though they are the same number with its" in remarks
    assert repr(grouped.strip('"')) in remarks


def test_a_label_with_a_point_after_its_thousands_read_as_a_smaller_number_is_told(
    import_text: Import,
) -> None:
    built = import_text(LABELLED.format("1.000", "1000", "1"), None)
    assert built.graph.label_names == ("1", "1000")
    assert [(repair.kind, repair.count) for repair in built.repairs] == [("dotted_labels", 1)]
    for plain in (("1.000", "2.000", "3"), ("1.0", "1000", "1")):
        assert not import_text(LABELLED.format(*plain), None).repairs


def test_a_first_line_of_a_list_that_names_no_nodes_may_be_a_header(import_text: Import) -> None:
    for first, told_of_header in (("from_page to_page", True), ("1 nowhere", False)):
        with pytest.raises(BadInputError, match=r"e\.txt:1: .* is no node's id; add") as caught:
            import_text(NODES, f"{first}\n1 2\n", edge_name="e.txt")
        assert ("say so with --header" in str(caught.value)) == told_of_header
    with pytest.raises(BadInputError, match=r"e\.txt:1: expected two node ids, .*, found '12'"):
        import_text(NODES, "12\n23\n", edge_name="e.txt")


def test_a_column_without_a_name_is_told_as_such(import_text: Import) -> None:
    assert "not read: (no name)" in remarks_of(import_text("id,text,\n1,a,\n", None))
