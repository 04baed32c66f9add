"""Problems in the first lines of files are reported before any file is read whole."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.graph.readers.shapes import EDGES, NODES, Import, edges, remarks_of
from understudy.graph import BadInputError
from understudy.graph.building.builder import Rules
from understudy.graph.readers import jsonl
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph
from understudy.graph.readers.formats import FileOptions, Files
from understudy.graph.readers.jsonl import read_document

BROKEN = "id,text,label\n1,oak,tree\n2,elm,tree,of,too,many\n"  # which is told where it is read


def parquet(**columns: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.csv", "one,other\n1,2\n", r"e\.csv:1: no two columns are called like.* one, other;"),
        ("e.csv", "one,other\n", r"e\.csv:1: no two columns are called like"),
        ("e.csv", "1,2\n2,3\n", r"e\.csv:1: the first line holds numbers only"),
        ("e.csv", "", r"e\.csv: the file is empty"),
        ("e.csv", "source;to\n1;2\n", r"e\.csv:1: no two columns are called like"),
        ("e.csv", b"PK\x03\x04", r"e\.csv: not UTF-8 but a zip archive"),
        ("e.tsv", "source\tTarget\tSOURCE\n", r"e\.tsv:1: there are two columns 'source' and 'S"),
        ("e.txt", b"\xff\xfe1\x00", r"e\.txt: not UTF-8 but UTF-16"),
        ("e.jsonl", '{"one": 1, "other": 2}\n', r"e\.jsonl:1: no two columns are called like"),
        (
            "e.jsonl",
            "{}\n",
            r"e\.jsonl:1: no two columns are called like .*columns are: none",
        ),
        ("e.jsonl", "1 2\n", r"e\.jsonl:1: broken JSON"),
        ("e.json", '[{"one": 1}]', r"e\.json item 1: no two columns are called like"),
        ("e.parquet", parquet(one=[1], other=[2]), r"e\.parquet: no two columns are called like"),
        (
            "e.parquet",
            parquet(source=[{"a": 1}], target=[2]),
            r"e\.parquet: column 'source' must hold strings or whole numbers, it holds struct",
        ),
    ],
)
def test_edges_without_ends_are_told_before_nodes_are_read(
    import_text: Import, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        import_text(BROKEN, content, edge_name=name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "id,name\n3,fir\n", r"m\.csv: no column 'text'"),
        ("m.csv", "words,more\n3,fir\n", r"m\.csv:1: no column 'id'"),
        ("m.csv", "id,text,Text\n", r"m\.csv:1: there are two columns 'text' and 'Text'"),
        ("m.csv", "id,name\n", r"m\.csv: no column 'text'"),
        ("m.jsonl", '{"words": 1}\n', r"m\.jsonl:1: no column 'id'"),
        ("m.parquet", parquet(id=[3], name=["fir"]), r"m\.parquet: no column 'text'"),
        (
            "m.parquet",
            parquet(id=[3], text=["fir"], label=pa.array([0], pa.timestamp("s"))),
            r"m\.parquet: column 'label' .* \(save its dates .* as strings\), it holds timestamp",
        ),
        ("m.parquet", b"PAR1", r"m\.parquet: not a Parquet file"),
    ],
)
def test_a_second_node_file_is_looked_at_before_the_first_is_read(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    (tmp_path / "n.csv").write_text(BROKEN)
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(BadInputError, match=message):
        run([tmp_path / "n.csv", tmp_path / name])


def run(nodes: Sequence[Path], fields: NodeFields | None = None) -> None:
    import_graph(nodes, [], fields or NodeFields(), EdgeFields(), Rules())


def test_columns_that_options_name_are_looked_for_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text(BROKEN)
    (tmp_path / "m.parquet").write_bytes(parquet(id=[3], text=["fir"], kind=["tree"]))
    both = [tmp_path / "n.csv", tmp_path / "m.parquet"]
    for given in (NodeFields(label="sort"), NodeFields(split="part"), NodeFields(group="team")):
        wanted = given.named()[0]
        with pytest.raises(BadInputError, match=rf"n\.csv: no column '{wanted}'"):
            run(both, given)
    with pytest.raises(BadInputError, match=r"n\.csv:3: 6 fields where the header has 3"):
        run(both, NodeFields(label="kind"))  # which one of them has


def test_what_a_first_line_cannot_tell_is_left_to_the_reading(import_text: Import) -> None:
    quoted = 'id,"the\ntext",label\n1,oak,tree\n'  # a name of two lines
    fields = NodeFields(text=("the\ntext",))
    assert import_text(quoted, None, node_fields=fields).graph.texts.to_pylist() == ["oak"]
    letters = 'id\ttext\tlabel\n1\t"Why?" she asked\tx\n2\tsecond\ty\n'
    assert import_text(letters, None, node_name="n.tsv").graph.num_nodes == 2
    later = '{"id": 1, "label": "x"}\n{"id": 2, "text": "elm"}\n'
    with pytest.raises(BadInputError, match=r"n\.jsonl:1: node '1' has no text"):
        import_text(later, None, node_name="n.jsonl")


@pytest.mark.parametrize("name", ["e.txt", "e.csv", "e.tsv"])
def test_a_single_line_of_two_ids_is_no_header_without_edges(
    import_text: Import, name: str
) -> None:
    nodes = '{"id": "u", "text": "oak"}\n{"id": "v", "text": "elm"}\n'
    line = {"e.txt": "u v\n", "e.csv": "u,v\n", "e.tsv": "u\tv\n"}[name]
    with pytest.raises(BadInputError, match=r"the first line names two nodes \(u, v\): if it is"):
        import_text(nodes, line, node_name="n.jsonl", edge_name=name)
    built = import_text(NODES, line, edge_name=name)
    assert f"{name}: source=u, target=v" in remarks_of(built)
    assert "the graph has no edges" in built.remarks


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.jsonl", '{"oak": "oak", "elm": "elm"}\n'),
        ("e.parquet", parquet(oak=["oak"], elm=["elm"])),
    ],
)
def test_keys_that_are_ids_as_well_are_no_first_line(
    import_text: Import, name: str, content: str | bytes
) -> None:
    nodes = "id,text\noak,one\nelm,two\n"
    fields = EdgeFields("oak", "elm")
    assert edges(import_text(nodes, content, edge_name=name, edge_fields=fields)) == [[0, 1]]


GRAPH = {
    "nodes": [{"id": number, "text": f"text {number}"} for number in (1, 2, 3)],
    "links": [{"source": 1, "target": 2}],
}
GRAPHML = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="t" for="node" attr.name="text" attr.type="string"/>
<graph edgedefault="undirected">
<node id="1"><data key="t">oak</data></node><node id="2"><data key="t">elm</data></node>
<edge source="1" target="2"/></graph></graphml>"""


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("g.json", json.dumps(GRAPH), 3),
        ("g.json", json.dumps(GRAPH, indent=1), 3),
        ("g.graphml", GRAPHML, 2),
    ],
)
def test_a_graph_file_is_read_once(tmp_path: Path, name: str, content: str, count: int) -> None:
    path = tmp_path / name
    path.write_text(content)
    files = Files()
    assert files.holds_edges(path)
    files.document(path)
    path.unlink()
    assert len(list(files.rows(path, "nodes").rows)) == count
    assert len(list(files.rows(path, "edges").rows)) == 1


@pytest.mark.parametrize("indent", [None, 1])
def test_json_is_parsed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None
) -> None:
    objects = []

    def counted(pairs: list[tuple[str, object]]) -> dict[str, object]:
        objects.append(pairs)
        return dict(pairs)

    monkeypatch.setattr(jsonl, "distinct", counted)
    (tmp_path / "g.json").write_text(json.dumps(GRAPH, indent=indent) + "\n\n")
    document = read_document(tmp_path / "g.json")
    assert document is not None
    assert len(document["nodes"]) == 3
    assert len(objects) == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{json.dumps(GRAPH)}\n{{}}\n", r"g\.json:2: broken JSON at column 1: Extra data"),
        (json.dumps(GRAPH).replace("text 2", "\\ud800"), r"g\.json: an escape names half a char"),
        (json.dumps(GRAPH).replace('"text"', '"id"'), r"g\.json:1: the object has two keys 'id'"),
    ],
)
def test_what_is_wrong_with_a_graph_in_a_line(
    import_text: Import, content: str, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        import_text(content, None, node_name="g.json")


def test_a_graph_file_of_edges_beside_a_table_of_nodes(import_text: Import) -> None:
    content = json.dumps(GRAPH)
    assert edges(import_text(NODES, content, edge_name="g.json")) == [[0, 1]]
    assert edges(import_text(NODES, EDGES)) == [[0, 1], [1, 2]]


@pytest.mark.parametrize("title", ["Tickets of May,,\n", "Tickets of May\n\n", "# by hand\n"])
def test_a_title_above_the_header_is_told_as_that(import_text: Import, title: str) -> None:
    line = 1 + title.count("\n")
    wanted = rf"nodes\.csv:1: the first line is no header, but line {line} looks like it \(id, te"
    with pytest.raises(BadInputError, match=wanted):
        import_text(title + NODES, EDGES)
    with pytest.raises(BadInputError, match=r"e\.csv:1: .* line 2 looks like it \(source, target"):
        import_text(NODES, "Links;\nsource;target\n1;2\n", edge_name="e.csv")


def test_rows_of_usual_names_below_no_header_are_no_header(import_text: Import) -> None:
    with pytest.raises(BadInputError, match="if this is no header but data, use --no-header"):
        import_text(NODES, "a,b\nu,v\n", edge_name="e.csv")


def test_options_that_name_the_columns_of_data_lose_no_first_line(import_text: Import) -> None:
    nodes = "1,oak tree,tree\n2,elm tree,tree\n3,red brick,stone\n"
    fields = NodeFields(id="1", text=("oak tree",), label="tree")
    with pytest.raises(BadInputError, match=r"nodes\.csv:1: the first line looks like data.*--no-"):
        import_text(nodes, "source,target\n2,3\n", node_fields=fields)
    ends = EdgeFields(source="1", target="2")
    with pytest.raises(BadInputError, match=r"e\.csv:1: the first line looks like data.*--no-head"):
        import_text(NODES, "1,2,cites\n2,3,cites\n", edge_name="e.csv", edge_fields=ends)


@pytest.mark.parametrize(
    "content", ["source target\n1 2\n", "1   2\n2   3\n", "# two ids\n1 2\n", "# ends\n1\t2\n"]
)
def test_a_plain_edge_list_called_a_table_is_told_as_that(
    import_text: Import, content: str
) -> None:
    with pytest.raises(BadInputError, match=r"edges\.csv: its .*let its name end in \.edgelist"):
        import_text(NODES, content)
    assert edges(import_text(NODES, content, edge_name="edges.edgelist"))[0] == [0, 1]


def test_columns_between_blanks_are_told_with_the_delimiter(import_text: Import) -> None:
    nodes = 'id text label\n1 "oak and ash" tree\n2 salt stone\n'
    with pytest.raises(BadInputError, match=r"separated by blanks.*id would be.*--delimiter space"):
        import_text(nodes, None)
    built = import_text(nodes, None, options=FileOptions(delimiter=" "))
    assert built.graph.texts.to_pylist() == ["oak and ash", "salt"]
    with pytest.raises(BadInputError, match=r"no column 'id'.*use --no-header$"):
        import_text("one column\n1\n", None)
