"""Text files, their columns and their splits, as other programs and people write them."""

from pathlib import Path

import pytest

from tests.unit.graph.readers.shapes import EDGES, NODES, TEXTS, Import, edges, names, remarks_of
from understudy.graph import BadInputError
from understudy.graph.building.builder import Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph
from understudy.graph.readers.formats import FileOptions


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "pipe")])
def test_a_delimiter_is_found_and_named(import_text: Import, delimiter: str, name: str) -> None:
    built = import_text(NODES.replace(",", delimiter), EDGES.replace(",", delimiter))
    assert built.graph.texts.to_pylist() == TEXTS
    assert edges(built) == [[0, 1], [1, 2]]
    assert remarks_of(built).count(f"delimiter {name}") == 2


def test_a_delimiter_that_is_given(import_text: Import) -> None:
    nodes, options = "id^text, and more\n1^a\n", FileOptions(delimiter="^")
    fields = NodeFields(text=("text, and more",))
    built = import_text(nodes, None, node_fields=fields, options=options)
    assert built.graph.texts.to_pylist() == ["a"]


@pytest.mark.parametrize(("sign", "name"), [(",", "comma"), ("\t", "tab")])
def test_a_file_with_another_delimiter_than_the_one_given_for_all_is_told(
    import_text: Import, sign: str, name: str
) -> None:
    nodes, options = NODES.replace(",", ";"), FileOptions(delimiter=";")
    with pytest.raises(
        BadInputError, match=rf"edges\.csv:1: .* but this one uses another, the {name}"
    ):
        import_text(nodes, EDGES.replace(",", sign), options=options)
    with pytest.raises(BadInputError, match=r"if this is no header but data, use --no-header$"):
        import_text(nodes, "ends\n1\n", options=options)  # no other sign would divide it


def test_the_first_line_of_excel(import_text: Import) -> None:
    nodes = 'sep=;\r\nid;text\r\n1;"a; b"\r\n2;\r\n'
    with pytest.raises(BadInputError, match=r"nodes\.csv:4: node '2' has no text"):
        import_text(nodes)
    assert import_text(nodes, missing_text="skip").graph.texts.to_pylist() == ["a; b"]


def test_blanks_after_commas_and_in_headers(import_text: Import) -> None:
    built = import_text('Node ID, Raw Text , Class\n1, "a, b", x\n', "Source , Target\n1, 1\n")
    assert built.graph.texts.to_pylist() == ["a, b"]
    assert names(built.graph) == ["x"]


def test_backslashes_before_quotes(import_text: Import) -> None:
    nodes = 'id,text\n1,"he said \\"no\\", twice"\n2,"a \\\\ b"\n'
    built = import_text(nodes)
    assert built.graph.texts.to_pylist() == ['he said "no", twice', "a \\ b"]
    assert "read as escapes" in remarks_of(built)


def test_a_backslash_at_the_end_of_a_quoted_field_is_a_letter(import_text: Import) -> None:
    built = import_text('id,text\n1,"C:\\dir\\"\n2,plain\n')
    assert built.graph.texts.to_pylist() == ["C:\\dir\\", "plain"]


TSV = 'id\ttext\tlabel\n1\t"Why?" she asked\tx\n2\tsecond\ty\n3\tit ends so: "why?"\tx\n'


def test_quotes_of_a_tsv_are_letters_where_they_enclose_no_field(import_text: Import) -> None:
    for first in ('"Why?" she asked', '"Why she asked'):
        nodes = TSV.replace('"Why?" she asked', first)
        built = import_text(nodes, node_name="nodes.tsv")
        assert built.graph.texts.to_pylist() == [first, "second", 'it ends so: "why?"']
        assert names(built.graph) == ["x", "y", "x"]
        assert "quotes taken as they stand" in remarks_of(built)


def test_quotes_of_a_tsv_that_enclose_fields(import_text: Import) -> None:
    nodes = 'id\ttext\n1\t"a ""b"" c"\n2\t"two\nlines, a\ttab\tor two"\n'
    built = import_text(nodes, node_name="nodes.tsv")
    assert built.graph.texts.to_pylist() == ['a "b" c', "two\nlines, a\ttab\tor two"]
    with pytest.raises(BadInputError, match=r"nodes\.tsv:3: a quote opens a field that ends 1 li"):
        import_text(nodes.replace("\tor two", ""), node_name="nodes.tsv")


def test_a_quote_that_would_swallow_rows_is_refused(import_text: Import) -> None:
    nodes = 'id\ttext\tlabel\n1\t"Why\tx\n2\tsecond\ty\n3\tthird"\tx\n4\tno label\n'
    with pytest.raises(BadInputError, match=r"nodes\.tsv:2: a quote opens a field that ends 2 li"):
        import_text(nodes, node_name="nodes.tsv")


def test_carriage_returns_alone_end_lines(import_text: Import) -> None:
    built = import_text(NODES.replace("\n", "\r"), EDGES.replace("\n", "\r"))
    assert built.graph.texts.to_pylist() == TEXTS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16_is_named(import_text: Import, encoding: str) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv: not UTF-8 but UTF-16; .*iconv"):
        import_text(NODES.encode(encoding))


def test_a_file_of_edges_without_a_header_loses_none(import_text: Import) -> None:
    fields = EdgeFields("1", "2")
    for given in (None, fields):
        with pytest.raises(BadInputError, match=r"edges\.csv:1: .*numbers only.*--no-header"):
            import_text(NODES, "1,2\n2,3\n", edge_fields=given)
        built = import_text(
            NODES, "1,2\n2,3\n", edge_fields=given, options=FileOptions(header=False)
        )
        assert edges(built) == [[0, 1], [1, 2]]
    named = import_text(NODES, "1,2\n2,3\n", edge_fields=fields, options=FileOptions(header=True))
    assert edges(named) == [[1, 2]]


def test_ids_of_nodes_are_no_header(import_text: Import) -> None:
    nodes = "id,text\noak,one\nash,two\nelm,three\n"
    with pytest.raises(BadInputError, match=r"first line names two nodes \(oak, ash.*--no-head"):
        import_text(nodes, "oak,ash\nash,elm\n", edge_fields=EdgeFields("oak", "ash"))


def test_nodes_may_be_called_like_usual_columns(import_text: Import) -> None:
    nodes = "id,text\nsource,one\ntarget,two\n"
    assert edges(import_text(nodes, "source,target\ntarget,source\n")) == [[0, 1]]


def test_nodes_without_a_header(import_text: Import) -> None:
    options = FileOptions(header=False)
    built = import_text("a,one,x\nb,two,y\n", "a,b\n", options=options)
    assert names(built.graph) == ["x", "y"]
    assert "id=1, text=2, label=3" in remarks_of(built)
    with pytest.raises(BadInputError, match="no column 'text'; the columns are: 1, 2, 3, 4"):
        import_text("a,one,x,9\n", "a,a\n", options=options)
    fields = NodeFields(text=("2",), label="4")
    built = import_text("a,one,x,9\n", None, node_fields=fields, options=options)
    assert names(built.graph) == ["9"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("# a comment\n1\t2\n2\t3\n", "edges.txt"),
        ("1 2 {'weight': 3}\n2 3 {}\n", "edges.edgelist"),
        ("% sym\n1 2 0.5\n\n2 3 1\n", "edges.edges"),
        ("1,2\n2,3\n", "edges.txt"),
        ("FromNodeId ToNodeId\n1 2\n2 3\n", "edges.txt"),
    ],
)
def test_plain_edge_lists(import_text: Import, content: str, name: str) -> None:
    assert edges(import_text(NODES, content, edge_name=name)) == [[0, 1], [1, 2]]


def test_a_plain_edge_list_with_one_id_in_a_line(import_text: Import) -> None:
    with pytest.raises(
        BadInputError,
        match=r"edges\.txt:2: expected two node ids, .*found '3'; let the name of a table",
    ):
        import_text(NODES, "1 2\n3\n", edge_name="edges.txt")


ROWS = "id,text,label,{column}\n" + "".join(f"{i},text {i},{'xy'[i % 2]},{{}}\n" for i in range(20))


@pytest.mark.parametrize("column", ["fold", "set", "subset", "group"])
def test_a_column_that_only_shares_the_name_of_a_split_steers_nothing(
    import_text: Import, column: str
) -> None:
    nodes = ROWS.replace("{column}", column).format(*(i % 4 for i in range(20)))
    built = import_text(nodes)
    assert built.random_split
    assert {name: len(part) for name, part in built.graph.splits.items()} == {
        "train": 12,
        "val": 4,
        "test": 4,
    }
    assert f"not read: {column}" in remarks_of(built)
    assert built.graph.groups is None


def test_columns_can_be_left_unread(import_text: Import) -> None:
    nodes = "id,text,label,split\n1,a,x,train\n2,b,y,train\n"
    built = import_text(nodes, node_fields=NodeFields(label="none", split="none"))
    assert built.graph.num_classes == 0
    assert "not read: label, split" in remarks_of(built)


def test_a_split_in_masks(import_text: Import) -> None:
    header = "id,text,label,train_mask,valid_mask,test_mask\n"
    rows = "1,a,x,True,False,\n2,b,x,0,1,0\n3,c,x,0.0,false,1.0\n4,d,x,,,\n"
    built = import_text(header + rows)
    parts = {name: part.tolist() for name, part in built.graph.splits.items()}
    assert parts == {"train": [0], "val": [1], "test": [2]}
    assert "split: column train_mask, valid_mask, test_mask" in remarks_of(built)
    with pytest.raises(BadInputError, match=r"nodes\.csv:3: the node is in the masks of train and"):
        import_text(header + rows.replace("2,b,x,0", "2,b,x,1"))
    with pytest.raises(BadInputError, match=r"csv:3: column 'train_mask' must be true or false"):
        import_text(header + rows.replace("2,b,x,0", "2,b,x,7"))


def test_a_second_column_names_the_classes(import_text: Import) -> None:
    nodes = "id,text,label,category\n1,a,2,oak\n2,b,0,ash\n3,c,2,oak\n4,d,-1,\n"
    built = import_text(nodes)
    assert names(built.graph) == ["oak", "ash", "oak", None]
    assert "label=category; label names the numbers in label" in remarks_of(built)
    other = import_text(nodes.replace("3,c,2,oak", "3,c,2,elm"))
    assert names(other.graph) == ["2", "0", "2", None]
    assert "label=label; not read: category" in remarks_of(other)
    given = import_text(nodes, node_fields=NodeFields(label="label"))
    assert names(given.graph) == ["2", "0", "2", None]


def test_ids_that_are_floats(import_text: Import) -> None:
    built = import_text(NODES, EDGES.replace("1", "1.0").replace("3", "3.0"))
    assert edges(built) == [[0, 1], [1, 2]]
    assert dict(built.graph.notes) == {"whole_float_ids": 2}
    nodes = "id,text\n1.0,a\n2.0,b\n3.0,c\n"
    assert import_text(nodes, EDGES).graph.ids.to_pylist() == ["1", "2", "3"]
    assert import_text("id,text\n1.0,a\n1.1,b\n", None).graph.ids.to_pylist() == ["1.0", "1.1"]


def test_edges_that_name_nodes_by_another_column(import_text: Import) -> None:
    nodes = "id,code,text\n1,oak,a\n2,ash,b\n"
    with pytest.raises(
        BadInputError, match=r"'oak' is no node's id.*look like '1' from column id.*--id-f"
    ):
        import_text(nodes, "source,target\noak,ash\n")
    with pytest.raises(
        BadInputError, match=r"'3' is no node's id; add the node, or drop such .*n$"
    ):
        import_text(nodes, "source,target\n1,2\n1,3\n")


def test_no_edge_file(import_text: Import) -> None:
    built = import_text(NODES, None)
    assert edges(built) == []
    assert "the graph has no edges" in built.remarks


@pytest.mark.parametrize(
    "cells",
    ['"[2, 3]",[],', "2;3,,", '"2,3",nan,', "2 3,,1", "\"['2', '3']\",None,", "2|3,,1.0"],
)
def test_neighbors_in_a_column(import_text: Import, cells: str) -> None:
    if cells.count('"'):
        _, first, rest = cells.split('"')
        lists = [f'"{first}"', *rest.strip(",").split(","), ""][:3]
    else:
        lists = cells.split(",")
    rows = "".join(f"{i + 1},t{i},{lists[i]}\n" for i in range(3))
    built = import_text("id,text,neighbors\n" + rows, None)
    assert edges(built) == [[0, 1], [0, 2]]
    assert "neighbors=neighbors" in remarks_of(built)


def test_a_neighbor_that_is_called_like_a_missing_value_is_one(import_text: Import) -> None:
    """NA is Namibia; where no node is called so, a cell of it alone is a gap."""
    rows = "NA,near the sea,DE\nDE,in the middle,NA\nFR,in the west,nan\nnull,no land,NA\n"
    built = import_text("id,text,neighbors\n" + rows, None)
    assert edges(built) == [[0, 1], [0, 3]]
    without = rows.replace("NA,near", "AO,near").replace("DE,in", "NA2,in").replace(",DE", ",NA2")
    assert edges(import_text("id,text,neighbors\n" + without, None)) == [[0, 1]]
    with pytest.raises(BadInputError, match="the edge's target 'NA' is no node's id"):
        import_text("id,text,neighbors\n1,a,NA;2\n2,b,1\n", None)


def test_neighbors_beside_an_edge_file_are_read_where_asked_for(import_text: Import) -> None:
    nodes = "id,text,neighbors\n1,a,3\n2,b,\n3,c,\n"
    assert edges(import_text(nodes, "source,target\n1,2\n")) == [[0, 1]]
    both = import_text(nodes, "source,target\n1,2\n", node_fields=NodeFields(neighbors="neighbors"))
    assert edges(both) == [[0, 1], [0, 2]]
    assert edges(import_text(nodes, None, node_fields=NodeFields(neighbors="none"))) == []


def test_an_unknown_neighbor_is_refused_with_the_line_of_its_node(import_text: Import) -> None:
    nodes = '{"id": 1, "text": "a", "neighbors": [2, 9]}\n{"id": 2, "text": "b"}\n'
    with pytest.raises(BadInputError, match=r"nodes\.jsonl:1: the edge's target '9' is no node's"):
        import_text(nodes, None, node_name="nodes.jsonl")


def test_neighbors_whose_ids_hold_what_splits_a_list_are_told_how_to_be_written(
    import_text: Import,
) -> None:
    told = r"target 'New' is no node's id.*split at blanks.*'New York'.*a list of strings"
    with pytest.raises(BadInputError, match=told):
        import_text("id,text,neighbors\nNew York,a,Boston\nBoston,b,New York\n", None)
    quoted = 'id,text,neighbors\nNew York,a,Boston\nBoston,b,"[""New York""]"\n'
    assert edges(import_text(quoted, None)) == [[0, 1]]


@pytest.mark.parametrize("value", ['{"2": 0.5}', '[{"id": 2}]'])
def test_neighbors_that_are_no_ids_are_told_to_be_a_list_of_them(
    import_text: Import, value: str
) -> None:
    with pytest.raises(BadInputError, match="'neighbors' must be a list of ids"):
        import_text(f'{{"id": 1, "text": "a", "neighbors": {value}}}\n', None, node_name="n.jsonl")


@pytest.mark.parametrize("word", ["nan", "NaN", "NULL", "None", "N/A"])
def test_a_text_that_only_says_that_it_is_missing(import_text: Import, word: str) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv:2: node 'a' has no text"):
        import_text(f"id,text\na,{word}\n", None)


def test_a_class_of_nodes_in_no_split(import_text: Import) -> None:
    nodes = "id,text,label,split\n1,a,x,train\n2,b,x,val\n3,c,x,test\n4,d,z,\n"
    with pytest.raises(BadInputError, match=r"csv:5: node '4' has label 'z', which is on nodes of"):
        import_text(nodes, None)
    built = import_text(nodes, None, unseen_labels="drop")
    assert names(built.graph) == ["x", "x", "x", None]
    assert dict(built.graph.notes) == {"unseen_labels": 1}


def test_what_training_will_miss_is_said_at_import(import_text: Import) -> None:
    rows = "".join(f"{i},text {i},class {i}\n" for i in range(12))
    remarks = " ".join(import_text("id,text,label\n" + rows, None).remarks)
    assert "12 classes for 12 labelled nodes" in remarks
    remarks = " ".join(import_text(NODES, None).remarks)
    assert "2 classes with fewer than 3 labelled nodes ('stone' 1, 'tree' 2)" in remarks
    assert "no node is in val" in remarks
    remarks = " ".join(import_text("id,text,label\n1,a,x\n", None).remarks)
    assert "only one class, 'x'" in remarks
    rows = "".join(f"{i},text {i},{(-1) ** i}\n" for i in range(12))
    assert "-1 and 1 are two classes" in " ".join(import_text("id,text,label\n" + rows).remarks)


def test_the_reading_is_kept_with_the_graph(import_text: Import, tmp_path: Path) -> None:
    from understudy.graph import load_graph, save_graph

    graph = import_text(NODES + "4,oak,tree\n", EDGES).graph
    save_graph(graph, tmp_path / "graph")
    reading = load_graph(tmp_path / "graph").reading
    assert reading["split"] == "drawn at random, 0.6/0.2/0.2, seed 0"
    assert [file["used"] for file in reading["files"]] == [
        {"id": ["id"], "text": ["text"], "label": ["label"]},
        {"source": ["source"], "target": ["target"]},
    ]


def test_progress_counts_the_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(NODES)
    seen: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        assert done <= total
        seen[stage] = (done, total)

    files = [tmp_path / "nodes.csv"]
    import_graph(files, [], NodeFields(), EdgeFields(), Rules(), None, progress)
    assert seen == {"read nodes.csv": (len(NODES), len(NODES)), "build the graph": (4, 4)}
