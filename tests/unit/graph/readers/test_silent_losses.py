"""Values that could be lost, rounded or reordered silently, and problems reported too late."""

import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.graph.readers.shapes import EDGES, NODES, TEXTS, Import, edges, remarks_of
from understudy.graph import BadInputError, GraphError, SourceError
from understudy.graph.building.builder import Rules
from understudy.graph.building.edge_resolution import first_found
from understudy.graph.building.records import EdgeTable, Source
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import SplitFile, import_graph
from understudy.graph.readers.formats import FileOptions
from understudy.graph.readers.jsonl import parse
from understudy.graph.readers.parquet import ParquetColumns
from understudy.graph.text_graph import string_array

UNSEEN = ("\u200b", "\ufeff", "\u200d\u2060 \u00ad", "\u2800\u3000")


@pytest.mark.parametrize("text", UNSEEN)
def test_a_text_of_which_nothing_can_be_seen_is_none(import_text: Import, text: str) -> None:
    nodes = f"id,text\na,oak\nb,{text}\nc,e\u0301lm\u200b\n"
    with pytest.raises(BadInputError, match=r"nodes\.csv:3: node 'b' has no text"):
        import_text(nodes)
    built = import_text(nodes, missing_text="id")
    assert built.graph.texts.to_pylist() == ["oak", "b", "e\u0301lm\u200b"]
    repairs = {repair.kind: str(repair) for repair in built.repairs}
    assert repairs["unseen_texts"].startswith("texts without a visible character treated")
    assert repairs["unseen_texts"].endswith("nodes.csv:3)")


def test_parts_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "nodes"
    folder.mkdir()
    for number in (10, 2, 1):
        (folder / f"part.{number}.csv").write_text(f"id,text\nn{number},text {number}\n")
    built = import_graph([folder], [], NodeFields(), EdgeFields(), Rules())
    assert built.graph.ids.to_pylist() == ["n1", "n2", "n10"]


def test_the_parts_of_a_folder_may_be_graphs_with_edges(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    folder.mkdir()
    for number in (1, 2):
        graph = {
            "nodes": [{"id": f"{number}{name}", "text": name} for name in ("oak", "elm")],
            "links": [{"source": f"{number}oak", "target": f"{number}elm"}],
        }
        (folder / f"{number}.json").write_text(json.dumps(graph))
    built = import_graph([folder], [], NodeFields(), EdgeFields(), Rules())
    assert edges(built) == [[0, 1], [2, 3]]


def test_edges_under_two_names_are_neither_lost_nor_chosen_from(import_text: Import) -> None:
    nodes = [{"id": number, "text": text} for number, text in enumerate(TEXTS, 1)]
    link, edge = {"source": 1, "target": 3}, {"source": 2, "target": 3}
    graph = json.dumps({"nodes": nodes, "links": [link], "edges": [edge]})
    with pytest.raises(BadInputError, match=r"g\.json: there are edges in 'links' and in 'edges'"):
        import_text(graph, None, node_name="g.json")
    graph = json.dumps({"nodes": nodes, "links": [], "edges": [edge]})
    assert edges(import_text(graph, None, node_name="g.json")) == [[1, 2]]


def test_comments_in_an_edge_list_are_counted(import_text: Import) -> None:
    nodes = "id,text\n#oak,one\nelm,two\nash,three\n"
    built = import_text(nodes, "# trees\nelm ash\n#oak elm\n", edge_name="e.txt")
    assert edges(built) == [[1, 2]]
    assert "e.txt: source=1, target=2; lines that begin with # or %, skipped: 2" in remarks_of(
        built
    )


def test_a_line_of_blanks_between_two_ids_takes_no_longer_than_another(import_text: Import) -> None:
    built = import_text(NODES, f"1{' ' * 300_000}2\n2 3 {{'a': 1}}\n", edge_name="e.txt")
    assert edges(built) == [[0, 1], [1, 2]]


def test_a_key_twice_among_very_many_is_found_at_once() -> None:
    keys = [f'"k{number}": 0' for number in range(100_000)]
    with pytest.raises(BadInputError, match="two keys 'k99999'"):
        parse("{" + ", ".join([*keys, keys[-1]]) + "}", "n.jsonl:1")


@pytest.mark.parametrize("column", ["id", "label"])
def test_numbers_that_their_type_has_rounded_are_refused(import_text: Import, column: str) -> None:
    columns = {"id": pa.array([1, 2]), "label": pa.array([0, 1]), "text": pa.array(["oak", "elm"])}
    columns[column] = pa.array([16_777_217.0, 2.0], pa.float32())
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    with pytest.raises(
        BadInputError, match=rf"row 1: column '{column}' must be at most 16,777,215, above whi"
    ):
        import_text(stream.getvalue(), None, node_name="n.parquet")


def test_what_is_not_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("id,text\na\n")
    (tmp_path / "edges.csv").write_text("source,target\n")
    nodes, there = [tmp_path / "nodes.csv"], [tmp_path / "edges.csv"]
    fields = NodeFields(), EdgeFields(), Rules()
    with pytest.raises(SourceError, match=r"more\.csv: cannot be read: No such file"):
        import_graph(nodes, [*there, tmp_path / "more.csv"], *fields)
    (tmp_path / "s.json").write_text('{"a": {"train": []}, "b": {"train": []}}')
    with pytest.raises(BadInputError, match=r"s\.json: choose one with --split-name: a, b"):
        import_graph(nodes, there, *fields, SplitFile(tmp_path / "s.json"))


def test_the_nodes_own_split_is_told_to_be_unread_beside_a_file(
    import_text: Import, tmp_path: Path
) -> None:
    (tmp_path / "s.json").write_text('{"train": [1, 2], "test": [3]}')
    nodes = "id,text,split\n1,oak,first\n2,salt,second\n3,elm,third\n"
    built = import_text(nodes, EDGES, splits=SplitFile(tmp_path / "s.json"))
    assert "nodes.csv: id=id, text=text; not read: split" in remarks_of(built)
    (tmp_path / "s.json").write_text('{"train": [1, 2.5]}')
    with pytest.raises(BadInputError, match=r"list of node ids or positions; train\[1\] is 2\.5"):
        import_text(nodes, EDGES, splits=SplitFile(tmp_path / "s.json"))


def test_a_table_of_very_many_columns_fills_no_message(import_text: Import) -> None:
    words = ",".join(f"word{number}" for number in range(5_000))
    with pytest.raises(BadInputError, match="word39 and 4,960 more; name the right one") as caught:
        import_text(f"{words}\n{'0,' * 4_999}0\n")
    assert len(str(caught.value)) < 1_000


def test_digits_of_another_script_and_very_many_of_ours_are_names(import_text: Import) -> None:
    nodes = "id,text,label\n1,oak,3\n2,elm,\u0663\n3,ash,3\n"
    assert set(import_text(nodes, None).graph.label_names) == {"3", "\u0663"}


def test_ids_are_found_for_all_parts_at_once() -> None:
    ids = string_array(["a", "b", "c"])
    source = Source("e.csv")
    tables = [
        EdgeTable(source, np.arange(len(names)), string_array(names), string_array(others))
        for names, others in ((["c"], ["x"]), ([], []), (["a", "b"], ["b", "c"]))
    ]
    found = [column.to_pylist() for column in first_found(tables, ids)]
    assert found == [[2], [None], [], [], [0, 1], [1, 2]]


@pytest.mark.parametrize("header", [None, False])
def test_a_first_edge_between_nodes_of_usual_names_is_not_taken_for_a_header(
    import_text: Import, header: bool | None
) -> None:
    nodes = '{"id": "u", "text": "oak"}\n{"id": "v", "text": "elm"}\n'
    files = {"node_name": "n.jsonl", "edge_name": "e.txt"}
    with pytest.raises(BadInputError, match=r"e\.txt: the first line names two nodes \(u, v\): if"):
        import_text(nodes, "u v\nv u\n", **files, options=FileOptions(header=header))
    assert edges(import_text(nodes, "source target\nu v\n", **files)) == [[0, 1]]
    said = import_text(nodes, "u v\nv u\n", **files, options=FileOptions(header=True))
    assert "source=u, target=v" in remarks_of(said)


def test_names_that_differ_in_what_cannot_be_seen_are_told(import_text: Import) -> None:
    nodes = "id,text,label\noak,one,x\noak\u200b,two,x\u00ad\nelm,three,y\n"
    remarks = " ".join(import_text(nodes).remarks)
    assert "'x', 'x\\xad': classes of their own" in remarks
    assert "nodes.csv:2), 'oak\\u200b' (" in remarks
    with pytest.raises(BadInputError, match=r"'elm\\u2060' is no node's id, though 'elm' is"):
        import_text(nodes, "source,target\noak,elm\u2060\n")


def test_a_damaged_count_of_rows_and_a_member_without_a_name_are_told(
    import_text: Import, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["oak", "elm"]}), tmp_path / "whole")
    table = ParquetColumns(tmp_path / "whole")
    table.count = 3  # as a file's metadata may say
    with pytest.raises(BadInputError, match="column 'id' is damaged: 2 values, and not as many as"):
        table.stored(0)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x", NODES)
        archive.filelist[0].filename = ""
    with pytest.raises(BadInputError, match=r"n\.csv\.zip: damaged zip file"):
        import_text(stream.getvalue(), None, node_name="n.csv.zip")


def parquet_nodes() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "text": ["oak", "elm"]}), stream)
    return stream.getvalue()


def zipped_nodes() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("nodes.csv", NODES)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "whole"),
    [("n.parquet", parquet_nodes()), ("n.csv.zip", zipped_nodes())],
    ids=["parquet", "zip"],
)
def test_every_cut_and_every_wrong_byte_is_told_as_a_damage(
    import_text: Import, name: str, whole: bytes
) -> None:
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        for damaged in (whole[:place], whole[:place] + b"\xb2" + whole[place + 1 :]):
            with suppress(GraphError):  # some bytes are of no use
                import_text(damaged, None, node_name=name)


def test_labels_and_edges_that_may_have_been_forgotten_are_told(import_text: Import) -> None:
    def hints(nodes: str, links: str | None, fields: NodeFields | None = None) -> list[str]:
        built = import_text(nodes, links, node_fields=fields or NodeFields())
        return [words for words in built.remarks if "name" in words and "--" in words]

    team = "id,text,team\n1,oak,a\n2,elm,b\n"
    labels, given = hints(team, None)
    assert "--label-field" in labels
    assert "--edges" in given
    assert "--neighbors-field" in given
    assert hints(team, EDGES.replace("2,3\n", ""), NodeFields(label="team")) == []
    assert hints(team, None, NodeFields(label="none", neighbors="none")) == []
    for name, links in (("edges.csv", "source,target\n"), ("edges.txt", "# none\n")):
        built = import_text("id,text\n1,oak\n2,elm\n", links, edge_name=name)
        assert [words for words in built.remarks if "--" in words] == []
