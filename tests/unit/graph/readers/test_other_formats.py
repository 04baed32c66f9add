"""JSON, Parquet, folders of parts and packed files, as other programs write them."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.graph.readers.shapes import EDGES, NODES, TEXTS, Import, edges, names
from understudy.graph import BadInputError, SourceError, save_graph
from understudy.graph.building.builder import Built, Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import SplitFile, import_graph

RECORDS = [{"id": 1, "text": "a", "label": "x"}, {"id": 2, "text": "b", "label": "y"}]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("key", ["links", "edges"])
def test_json_of_a_graph_and_of_an_array(import_text: Import, indent: int | None, key: str) -> None:
    graph: dict[str, Any] = {"directed": False, "nodes": RECORDS}
    graph[key] = [{"source": 1, "target": 2}]
    built = import_text(json.dumps(graph, indent=indent), None, node_name="g.json")
    assert names(built.graph) == ["x", "y"]
    assert edges(built) == [[0, 1]]
    array = import_text(json.dumps(RECORDS, indent=indent), None, node_name="n.json")
    assert array.graph.texts.to_pylist() == ["a", "b"]
    lines = "".join(json.dumps(row) + "\n" for row in RECORDS)
    assert import_text(lines, None, node_name="lines.json").graph.num_nodes == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{\n"id": {"0": 1}}', "found an object of id .of pandas: to_json"),
        ("[1]", "g.json item 1: expected a JSON object, found a number"),
        ('[\n{"id": 1,\n"text":}]', "g.json:3: broken JSON at column 8"),
        ('[{"id": 1, "text": "a"}, {"id": 2, "text": null}]', "g.json item 2: node '2' has no te"),
    ],
)
def test_json_that_holds_no_records(import_text: Import, content: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        import_text(content, None, node_name="g.json")


@pytest.mark.parametrize(
    ("content", "name"),
    [("[1, 2]\n[2, 3]\n", "edges.jsonl"), ("[[1, 2], [2, 3, 0.5]]", "edges.json")],
)
def test_edges_as_pairs_in_json(import_text: Import, content: str, name: str) -> None:
    assert edges(import_text(NODES, content, edge_name=name)) == [[0, 1], [1, 2]]


def test_a_key_twice_in_an_object(import_text: Import) -> None:
    content = '{"id": 1, "text": "a", "text": "b"}\n'
    with pytest.raises(BadInputError, match=r"nodes\.jsonl:1: the object has two keys 'text'"):
        import_text(content, None, node_name="nodes.jsonl")


def test_a_given_split_without_members_is_not_drawn_anew(
    import_text: Import, tmp_path: Path
) -> None:
    (tmp_path / "s.json").write_text('{"train": [], "val": []}')
    with pytest.raises(BadInputError, match=r"the given split .*s\.json.* contains no node"):
        import_text(NODES, None, splits=SplitFile(tmp_path / "s.json"))


def test_lists_and_numbers_in_json_lines(import_text: Import) -> None:
    rows = [
        {"id": 1.0, "title": "T", "description": ["Nice.", "Blue."], "label": 0.0},
        {"id": 2, "title": "U", "description": [], "label": float("nan")},
        {"id": 3, "title": "V", "description": None, "label": ["1"]},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    graph = import_text(content, None, node_name="nodes.jsonl").graph
    assert graph.ids.to_pylist() == ["1", "2", "3"]
    assert graph.texts.to_pylist() == ["T\nNice.\nBlue.", "U", "V"]
    assert names(graph) == ["0", None, "1"]


def test_lists_within_lists_however_deep(import_text: Import) -> None:
    text, label = (f"{'[' * 600}{inner}{']' * 600}" for inner in ('"oak", ["ash"]', "true"))
    built = import_text(f'{{"id": 1, "text": {text}, "label": {label}}}', None, node_name="n.jsonl")
    assert built.graph.texts.to_pylist() == ["oak\nash"]
    assert built.graph.label_names == ("true",)


def test_truths_are_the_same_labels_in_every_format(import_text: Import) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "text": ["a", "b"], "label": [True, False]}), stream)
    json_lines = '{"id":1,"text":"a","label":true}\n{"id":2,"text":"b","label":false}\n'
    hashes = {
        import_text(content, None, node_name=name).graph.content_hash
        for content, name in (
            ("id,text,label\n1,a,True\n2,b,False\n", "n.csv"),
            (json_lines, "n.jsonl"),
            (stream.getvalue(), "n.parquet"),
        )
    }
    assert len(hashes) == 1


def test_parquet_of_lists_masks_and_floats(import_text: Import) -> None:
    columns = {
        "id": pa.array([1.0, 2.0, 3.0]),
        "title": ["A", "B", "C"],
        "description": [["one", "two"], None, []],
        "label": pa.array([0.0, None, 1.0]),
        "train_mask": [True, False, False],
        "test_mask": [False, False, False],
        "neighbors": [[2, 3], [1], None],
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    built = import_text(stream.getvalue(), None, node_name="n.parquet", unseen_labels="drop")
    assert built.graph.ids.to_pylist() == ["1", "2", "3"]
    assert built.graph.texts.to_pylist() == ["A\none\ntwo", "B", "C"]
    assert names(built.graph) == ["0", None, None]
    assert built.graph.splits["train"].tolist() == [0]
    assert edges(built) == [[0, 1], [0, 2]]


def test_a_folder_of_parts(tmp_path: Path) -> None:
    folder = tmp_path / "nodes"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    for part, text in enumerate(("one", "")):
        pq.write_table(
            pa.table({"id": [part], "text": [text]}), folder / f"part-{part}.snappy.parquet"
        )

    def read(missing_text: str) -> Built:
        rules = Rules(missing_text=missing_text)
        return import_graph([folder], [], NodeFields(), EdgeFields(), rules)

    with pytest.raises(BadInputError, match=r"nodes/part-1\.snappy\.parquet row 1: node '1' has"):
        read("fail")
    assert read("id").graph.texts.to_pylist() == ["one", "1"]
    (folder / "year=2020").mkdir()
    with pytest.raises(SourceError, match=r"it holds folders \(year=2020\)"):
        read("id")


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, NODES)
    return stream.getvalue()


def tarred(content: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        entry = tarfile.TarInfo("nodes.csv")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content.encode()))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nodes.csv.zip", zipped("nodes.csv", "__MACOSX/._nodes.csv")),
        ("data.zip", zipped("nodes.csv")),
        ("nodes.csv.bz2", bz2.compress(NODES.encode())),
        ("nodes.csv.xz", lzma.compress(NODES.encode())),
        ("nodes.csv.gz", tarred(NODES)),
        ("nodes.csv.tar.gz", tarred(NODES)),
        ("NODES.CSV.GZ", gzip.compress(NODES.encode(), mtime=0)),
    ],
)
def test_packed_files(import_text: Import, name: str, content: bytes) -> None:
    assert import_text(content, EDGES, node_name=name).graph.texts.to_pylist() == TEXTS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("n.csv.zip", zipped("a.csv", "b.csv"), r"2 files \(a\.csv, b\.csv\); unpack"),
        ("n.csv.zip", b"no archive", "damaged zip file"),
        ("n.csv.xz", b"no archive", "damaged xz file"),
    ],
)
def test_packed_files_that_cannot_be_read(
    import_text: Import, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        import_text(content, EDGES, node_name=name)


def test_a_file_without_texts_beside_one_with_texts(tmp_path: Path) -> None:
    (tmp_path / "papers.csv").write_text("id,text\np,words\n")
    (tmp_path / "authors.csv").write_text("id,fullname\na,Ann\n")
    files = [tmp_path / "papers.csv", tmp_path / "authors.csv"]
    with pytest.raises(BadInputError, match=r"authors\.csv: no column 'text'.*--missing-text id"):
        import_graph(files, [], NodeFields(), EdgeFields(), Rules())
    rules = Rules(missing_text="id")
    built = import_graph(files, [], NodeFields(), EdgeFields(), rules)
    assert built.graph.texts.to_pylist() == ["words", "a"]
    with pytest.raises(BadInputError, match="no column 'txet'"):
        import_graph(files, [], NodeFields(text=("txet",)), EdgeFields(), rules)
    one = import_graph(files, [], NodeFields(text=("fullname",)), EdgeFields(), rules)
    assert one.graph.texts.to_pylist() == ["p", "Ann"]


def test_a_part_may_hold_only_the_header(tmp_path: Path) -> None:
    """As Spark writes partitions without rows."""
    folder = tmp_path / "nodes"
    folder.mkdir()
    (folder / "part-0.csv").write_text("id,text\n")
    (folder / "part-1.csv").write_text("id,text\n1,an oak\n")
    built = import_graph([folder], [], NodeFields(), EdgeFields(), Rules())
    assert built.graph.ids.to_pylist() == ["1"]
    (folder / "part-0.csv").write_text("id,body of it\n")
    with pytest.raises(BadInputError, match=r"part-0\.csv: no column 'text'"):
        import_graph([folder], [], NodeFields(), EdgeFields(), Rules())
    for part in folder.iterdir():
        part.write_text("id,text\n")
    with pytest.raises(BadInputError, match="contains no nodes"):
        import_graph([folder], [], NodeFields(), EdgeFields(), Rules())


def test_a_graph_folder_is_no_parts_of_a_table(import_text: Import, tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    save_graph(import_text(NODES, EDGES).graph, folder)
    with pytest.raises(SourceError, match="is already a graph folder: give it to the next command"):
        import_graph([folder], [], NodeFields(), EdgeFields(), Rules())
