"""Formats of node and edge files, their columns, and their errors."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from understudy.graph import BadInputError, SourceError
from understudy.graph.building.builder import Built, Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph

Import = Callable[..., Built]
ROWS = [
    {"id": 1, "text": 'first "quoted", text', "label": "x", "split": "train"},
    {"id": 2, "text": "second\nwith two lines", "label": "y", "split": "train"},
    {"id": 3, "text": "dritter Text, größer ✓", "label": None, "split": None},
]


def delimited(delimiter: str) -> bytes:
    import csv

    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return stream.getvalue().encode()


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), stream)
    return stream.getvalue()


def parquet_edges() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"src": pa.array([1, 2]), "dst": pa.array([2, 3])}), stream)
    return stream.getvalue()


NODES = {
    "nodes.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode(),
    "nodes.csv": delimited(","),
    "nodes.tsv": delimited("\t"),
    "nodes.parquet": parquet(),
}
EDGES = {
    "edges.jsonl": b'{"source": 1, "target": 2}\n{"source": "2", "target": "3"}\n',
    "edges.csv": b"src,dst\n1,2\n2,3\n",
    "edges.tsv": b"from\tto\n1\t2\n2\t3\n",
    "edges.parquet": parquet_edges(),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "tsv", "parquet"])
def test_every_format_gives_the_same_graph(tmp_path: Path, kind: str, packed: bool) -> None:
    suffix = ".gz" if packed else ""
    paths = []
    for name, content in ((f"nodes.{kind}", NODES), (f"edges.{kind}", EDGES)):
        path = tmp_path / (name + suffix)
        path.write_bytes(gzip.compress(content[name]) if packed else content[name])
        paths.append(path)
    graph = import_graph([paths[0]], [paths[1]], NodeFields(), EdgeFields(), Rules()).graph
    assert graph.ids.to_pylist() == ["1", "2", "3"]
    assert [text.replace("\r\n", "\n") for text in graph.texts.to_pylist()] == [
        row["text"] for row in ROWS
    ]
    assert graph.labels.tolist() == [0, 1, -1]
    assert graph.splits["train"].tolist() == [0, 1]
    assert graph.adjacency.edges().tolist() == [[0, 1], [1, 2]]


def test_a_byte_order_mark_and_windows_line_ends(import_text: Import) -> None:
    nodes = b"\xef\xbb\xbfid,text\r\na,one\r\nb,two\r\n"
    assert import_text(nodes).graph.ids.to_pylist() == ["a", "b"]


def test_title_and_abstract_make_the_text(import_text: Import) -> None:
    graph = import_text("id,title,abstract\na,Title,Body\nb,Only title,\n").graph
    assert graph.texts.to_pylist() == ["Title\nBody", "Only title"]


def test_named_fields(import_text: Import) -> None:
    built = import_text(
        "key2;x\n".replace(";", ",") + "a,1\nb,2\n",
        "p,q\na,b\n",
        node_fields=NodeFields(id="key2", text=("x",)),
        edge_fields=EdgeFields("p", "q"),
    )
    assert built.graph.texts.to_pylist() == ["1", "2"]


def test_fields_that_come_late_in_json_lines(import_text: Import) -> None:
    nodes = '{"id": "a", "text": "one"}\n{"text": "two", "id": "b", "label": "x"}\n'
    graph = import_text(nodes, node_name="nodes.jsonl").graph
    assert graph.labels.tolist() == [-1, 0]


BAD_NODES = [
    ("nodes.csv", b"", r"nodes\.csv: the file is empty"),
    ("nodes.jsonl", b"", r"nodes\.jsonl: the file is empty"),
    ("nodes.jsonl", b"\n\n", r"nodes\.jsonl: contains no nodes"),
    ("nodes.csv", b"id,text\n", r"nodes\.csv: contains no nodes"),
    ("nodes.csv", b"\n", r"nodes\.csv: the file is empty; expected a header"),
    ("nodes.csv", b"id,text\na,b\xff\n", r"nodes\.csv:2: not UTF-8: byte 0xff at byte 4 of the"),
    ("nodes.csv", b"id,text\na,\x8020\n", r"not UTF-8: byte 0x80 .*iconv -f WINDOWS-1252 -t UTF"),
    ("nodes.jsonl", b'{"id":"a","text":"b"}\n"\xc3"', r"nodes\.jsonl:2: not UTF-8: byte 0xc3"),
    ("nodes.csv", b"id,text\na,b\nc,d,e\n", r"nodes\.csv:3: 3 fields .* header has 2 \(id, text\)"),
    ("nodes.csv", b'id,text\na,"b\nc\nd', r"nodes\.csv:2: broken quoting"),
    ("nodes.csv", b'id,text\na,"b"c\n', r"nodes\.csv:2: broken quoting"),
    ("nodes.csv", b"name2,body2\na,b\n", r"nodes\.csv:1: no column 'id'.*name2, body2;.*--id-fie"),
    ("nodes.csv", b"id,words\na,b\n", r"nodes\.csv: no column 'text'.*: id, words;.*--text-field"),
    ("nodes.jsonl", b'{"id": "a",}\n', r"nodes\.jsonl:1: broken JSON at column"),
    ("nodes.jsonl", b'{"id":"a","text":"b"}\n[1]\n', r"nodes\.jsonl:2: expected a JSON object, fo"),
    ("nodes.jsonl", b'{"text": "b"}\n', r"nodes\.jsonl:1: no column 'id'.*: text;"),
    ("nodes.jsonl", b'{"id": 1.5, "text": "b"}\n', r"nodes\.jsonl:1: column 'id' must be a string"),
    ("nodes.jsonl", b'{"id": "a", "text": 5}\n', r"nodes\.jsonl:1: column 'text' must be a string"),
    ("nodes.jsonl", b'{"id": "a", "text": {}}\n', r"nodes\.jsonl:1: column 'text' .*an object"),
    ("nodes.jsonl", b'{"id": "a", "text": []}\n', r"nodes\.jsonl:1: node 'a' has no text"),
    (
        "nodes.jsonl",
        b'{"id":"a","text":"b","label":["x","y"]}\n',
        r"nodes\.jsonl:1: .*'label' must be one label, not several.*found a list",
    ),
    ("nodes.parquet", b"", r"nodes\.parquet: the file is empty"),
    ("nodes.parquet", b"not parquet", r"nodes\.parquet: not a Parquet file"),
    ("nodes.jsonl.gz", b"plain text", r"nodes\.jsonl\.gz: damaged gzip file"),
    ("nodes.jsonl.gz", gzip.compress(b'{"id": "a"}' * 99, mtime=0)[:-9], r"damaged gzip file"),
    ("nodes.jsonl", b'{"id":"a","text":"\\ud800"}\n', r"nodes\.jsonl:1: .*lone surrogate"),
    ("nodes.jsonl", b'{"id":' + b"1" * 5000 + b"}\n", r"nodes\.jsonl:1: Exceeds the limit"),
    ("nodes.jsonl", b"[" * 100_000, r"nodes\.jsonl:1: the JSON is nested too deeply"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_NODES)
def test_bad_node_files_are_refused_with_their_place(
    import_text: Import, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        import_text(content, node_name=name)
    assert "\n" not in str(caught.value)


BAD_EDGES = [
    ("edges.csv", b"", r"edges\.csv: the file is empty"),
    ("edges.csv", b"0,633\n0,1\n", r"edges\.csv:1: the first line holds numbers only \(0, 633"),
    ("edges.csv", b"a,b\n0,1\n", r"edges\.csv:1: no two columns are called like.*: a, b;"),
    ("edges.csv", b"source,target\na\n", r"edges\.csv:2: 1 fields"),
    ("edges.jsonl", b'{"source": "a", "target": null}\n', r"edges\.jsonl:1: .*target is empty"),
    ("edges.jsonl", b'{"source": "a", "target": {}}\n', r"edges\.jsonl:1: column 'target' must be"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_EDGES)
def test_bad_edge_files_are_refused_with_their_place(
    import_text: Import, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        import_text("id,text\na,one\n", content, edge_name=name)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1.5]), r"row 1: column 'id' must be a string or whole number, found 1\.5"),
        (pa.array([b"0" * 16], pa.binary(16)), r"column 'id' must hold .*it holds fixed_size_bi"),
        (pa.array([b"\xff"]), r"nodes\.parquet row 1: column 'id' is not UTF-8 at byte 1"),
        (pa.array([None], pa.string()), r"nodes\.parquet row 1: the node's id is empty"),
    ],
)
def test_bad_parquet_columns(import_text: Import, column: pa.Array, message: str) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": column, "text": ["one"]}), stream)
    with pytest.raises(BadInputError, match=message):
        import_text(stream.getvalue(), node_name="nodes.parquet")


def test_parquet_of_dictionaries_and_several_texts(import_text: Import) -> None:
    stream = io.BytesIO()
    columns = {
        "id": pa.array(["a", "b"]),
        "title": pa.array(["A", "B"]),
        "abstract": pa.array(["one", None]),
        "label": pa.array(["x", "-1"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), stream)
    graph = import_text(stream.getvalue(), node_name="nodes.parquet").graph
    assert graph.texts.to_pylist() == ["A\none", "B"]
    assert graph.labels.tolist() == [0, -1]


def test_fields_that_were_asked_for_must_be_there(import_text: Import) -> None:
    for fields, name in (
        (NodeFields(label="topic"), "topic"),
        (NodeFields(split="part"), "part"),
        (NodeFields(text=("text", "notes")), "text and notes"),
    ):
        with pytest.raises(BadInputError, match=f"no column '{name}'"):
            import_text("id,text\na,one\n", node_fields=fields)
    with pytest.raises(BadInputError, match=r"no column 'x'.*--target-field"):
        import_text("id,text\na,b\n", "source,to\na,a\n", edge_fields=EdgeFields("source", "x"))


def test_unknown_formats_and_missing_files(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "nodes.xlsx", "unknown format"),
        (tmp_path / "nodes", "unknown format"),
        (tmp_path / "nodes.csv", "cannot be read: No such file"),
        (tmp_path / "nodes.parquet", "cannot be read: No such file"),
    ):
        with pytest.raises(SourceError, match=message):
            import_graph([path], [], NodeFields(), EdgeFields(), Rules())


def test_more_rows_than_one_chunk(import_text: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.graph.building.records.FLUSH_ROWS", 100)
    nodes = "id,text\n" + "".join(f"n{i},text {i}\n" for i in range(350))
    edges = "source,target\n" + "".join(f"n{i},n{i + 1}\n" for i in range(349))
    graph = import_text(nodes, edges).graph
    assert (graph.num_nodes, graph.adjacency.num_edges) == (350, 349)
    assert graph.texts.to_pylist() == [f"text {i}" for i in range(350)]
    with pytest.raises(BadInputError, match=r"edges\.csv:351: .*'zz'"):
        import_text(nodes, edges + "zz,n0\n")


def test_a_very_long_text(import_text: Import) -> None:
    assert len(import_text(f"id,text\na,{'x' * 200_000}\n").graph.texts[0].as_py()) == 200_000
