"""How columns get their roles, and columns that could have the same role."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.graph.readers.shapes import NODES, Import, edges, names, remarks_of
from understudy.graph import BadInputError
from understudy.graph.errors import MissingColumnError
from understudy.graph.readers.fields import EdgeFields, NodeFields


@pytest.mark.parametrize(
    "header",
    [
        "source,destination",
        ":START_ID,:END_ID",
        ":START_ID(Tree),:END_ID(Tree)",
        "~from,~to",
        "id_1,id_2",
        "node1,node2",
        "subject,object",
        "from_node_id,to_node_id",
        "sourceId,targetId",
        "SRC,DEST",
    ],
)
def test_usual_names_of_an_edge_s_ends(import_text: Import, header: str) -> None:
    assert edges(import_text(NODES, f"{header}\n1,2\n2,3\n")) == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("header", "identifier"),
    [
        ("paperId:ID,name,text", "paperId:ID"),
        ("~id,name:String,text:String", "~id"),
        ("user_id,name,text", "user_id"),
        ("movieId,name,text", "movieId"),
        ("Ticket ID,name,text", "Ticket ID"),
        ("ticket-id:string,name,text", "ticket-id:string"),
        ("label_id,name,text", "name"),
        ("Label ID,name,text", "name"),
        ("SKU,name,text", "SKU"),
        ("name,isbn,text", "isbn"),
    ],
)
def test_the_column_that_tells_nodes_apart(
    import_text: Import, header: str, identifier: str
) -> None:
    row = {"name": "eight", "text": "words"}
    built = import_text(f"{header}\n{','.join(row.get(n, '7') for n in header.split(','))}\n", None)
    assert built.graph.ids.to_pylist() == ["eight" if identifier == "name" else "7"]
    assert f"id={identifier}, text=text" in remarks_of(built)


def test_an_index_without_a_name_is_told_how_to_name(import_text: Import) -> None:
    message = r"columns are: \(no name\), text; .* --id-field, or give .* index_label='id'"
    with pytest.raises(MissingColumnError, match=message):
        import_text(",text\n0,words\n", None)


@pytest.mark.parametrize(
    ("header", "row", "text", "label"),
    [
        ("id,title,content", "1,Oak,A tree", "Oak\nA tree", None),
        ("id,title,text", "1,Oak,Oak is a tree", "Oak is a tree", None),
        ("id,title,abstract", "1,Oak,nan", "Oak", None),
        ("id,subject,body,team", "1,Hello,How are you,sales", "Hello\nHow are you", None),
        ("id,text,subject", "1,A tree,botany", "A tree", "botany"),
        ("id,title,abstract,subject", "1,Oak,A tree,botany", "Oak\nA tree", "botany"),
        ("sku,name,description,category", "1,Oak,A tree,botany", "Oak\nA tree", "botany"),
        ("name,description", "Oak,A tree", "A tree", None),
        ("id,name,text", "1,Oak,A tree", "A tree", None),
    ],
)
def test_which_columns_make_the_text(
    import_text: Import, header: str, row: str, text: str, label: str | None
) -> None:
    graph = import_text(f"{header}\n{row}\n", None).graph
    assert graph.texts.to_pylist() == [text]
    assert names(graph) == [label]


def test_a_name_beside_another_column_of_ids_is_a_title(import_text: Import) -> None:
    table = "number,name,description\n1,Oak,A tree\n2,Oak,A table\n"
    graph = import_text(table, None, node_fields=NodeFields(id="number")).graph
    assert graph.texts.to_pylist() == ["Oak\nA tree", "Oak\nA table"]


def test_repeated_ids_name_the_column_that_was_taken_for_them(import_text: Import) -> None:
    table = "number,name,description\n1,Oak,A tree\n2,Oak,A table\n"
    with pytest.raises(BadInputError, match=r"'Oak' is already .* column 'name'.* --id-field"):
        import_text(table, None)


def test_several_columns_in_one_option_are_told_apart(import_text: Import) -> None:
    fields = NodeFields(text=("head,blurb",))
    with pytest.raises(MissingColumnError, match="give the option several times"):
        import_text("id,head,blurb\n1,Oak,A tree\n", None, node_fields=fields)


def test_a_column_that_is_text_is_not_the_label_as_well(import_text: Import) -> None:
    nodes = "id,subject,notes\n1,Hello,long\n2,Again,longer\n"
    built = import_text(nodes, None, node_fields=NodeFields(text=("subject", "notes")))
    assert names(built.graph) == [None, None]


def test_a_column_that_is_named_as_the_label_is_no_part_of_the_text(import_text: Import) -> None:
    nodes = "id,subject,body\n1,sales,How much is it?\n2,help,It broke\n"
    graph = import_text(nodes, None, node_fields=NodeFields(label="subject")).graph
    assert graph.texts.to_pylist() == ["How much is it?", "It broke"]
    assert names(graph) == ["sales", "help"]
    for fields, role in (
        (NodeFields(text=("subject", "body"), label="subject"), "text"),
        (NodeFields(label="id"), "id"),
    ):
        with pytest.raises(BadInputError, match=rf"nodes\.csv:1: .* be a node's {role} and its la"):
            import_text(nodes, None, node_fields=fields)


@pytest.mark.parametrize("column", ["text", "label", "id"])
def test_two_columns_of_one_name_are_refused(import_text: Import, column: str) -> None:
    with pytest.raises(BadInputError, match=f"there are two columns '{column}'"):
        import_text(f"id,text,label,{column}\n1,a,x,b\n", None)
    table = pa.table([pa.array(["1"])] * 4, names=["id", "text", "label", column])
    stream = io.BytesIO()
    pq.write_table(table, stream)
    with pytest.raises(BadInputError, match=f"there are two columns '{column}'"):
        import_text(stream.getvalue(), None, node_name="nodes.parquet")


@pytest.mark.parametrize(
    ("columns", "option"),
    [
        ("id,text,ID", "--id-field"),
        ("TEXT,id,text", "--text-field"),
        ("id,text,Label,label", "--label-field"),
        ("Title,id,title,text", "--text-field"),
        ("id,text,Train Mask,train_mask,test_mask", "--split-field"),
        ("Node ID,node-id,text", "--id-field"),
    ],
)
def test_two_columns_that_mean_the_same_are_refused(
    import_text: Import, columns: str, option: str
) -> None:
    names = columns.split(",")
    values = {name: str(place % 2) for place, name in enumerate(names)}
    stream = io.BytesIO()
    pq.write_table(pa.table({name: [value] for name, value in values.items()}), stream)
    for file, content in (
        ("nodes.csv", f"{columns}\n{','.join(values.values())}\n"),
        ("nodes.jsonl", json.dumps(values)),
        ("nodes.parquet", stream.getvalue()),
    ):
        with pytest.raises(BadInputError, match="which mean the same") as caught:
            import_text(content, None, node_name=file)
        assert str(caught.value).endswith(f"or name the right one with {option}")
        assert f"(all: {', '.join(names)})" in str(caught.value)


def test_of_two_columns_that_mean_the_same_the_named_one_is_read(import_text: Import) -> None:
    built = import_text("id,text,ID\n1,a,2\n", None, node_fields=NodeFields("ID"))
    assert built.graph.ids.to_pylist() == ["2"]
    with pytest.raises(BadInputError, match=r"edges\.csv:1: .* 'Source' and 'source'.*--source-fi"):
        import_text(NODES, "Source,source,target\n1,1,2\n")
    named = import_text(NODES, "Source,source,target\n1,3,2\n", edge_fields=EdgeFields("Source"))
    assert edges(named) == [[0, 1]]


def test_two_unread_columns_of_one_name_do_not_matter(import_text: Import) -> None:
    assert import_text("id,text,x,x\n1,a,b,c\n", None).graph.num_nodes == 1


@pytest.mark.parametrize(
    ("group", "label", "words"),
    [
        ("label", "", r"each class would be a group .* column 'label' is also a node's label"),
        ("area", "area", r"each class would be a group .* column 'area' is also a node's label"),
        ("ID", "", r"every node would be a group .* column 'id' is also a node's id"),
    ],
)
def test_groups_are_neither_nodes_nor_classes(
    import_text: Import, group: str, label: str, words: str
) -> None:
    nodes = "id,text,label,area\n1,oak,tree,a\n2,salt,stone,b\n"
    with pytest.raises(BadInputError, match=words):
        import_text(nodes, node_fields=NodeFields(group=group, label=label))
    assert import_text(nodes, node_fields=NodeFields(group="area"))
