import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from understudy.graph import BadInputError, GraphError, SourceError
from understudy.graph.building.builder import Built, Rules
from understudy.graph.readers.ogb import OgbOptions, ogb_graph

FILES = {
    "raw/edge.csv.gz": "0,1\n1,2\n3,3\n",
    "raw/node-label.csv.gz": "1\n0\n1.0\nnan\n",
    "raw/num-node-list.csv.gz": "4\n",
    "split/time/train.csv.gz": "0\n1\n",
    "split/time/valid.csv.gz": "2\n",
    "split/time/test.csv.gz": "3\n",
    "mapping/nodeidx2paperid.csv.gz": "node idx,paper id\n1,901\n0,900\n2,902\n3,903\n",
    "mapping/labelidx2name.csv.gz": "label idx,name\n0,old\n1,new\n",
}
TEXTS = (
    '900\tFirst title\tFirst "abstract\n902\tThird\t\n901\tSecond\tMore\n903\tFourth\tx\n9\tNo\ty\n'
)


def write(folder: Path, changes: dict[str, str | None]) -> None:
    for name, content in {**FILES, **changes}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(gzip.compress(content.encode()))


def read(
    folder: Path, changes: dict[str, str | None] | None = None, texts: str = TEXTS, split: str = ""
) -> Built:
    write(folder / "set", changes or {})
    (folder / "titleabs.tsv").write_text(texts)
    return ogb_graph(folder / "set", OgbOptions(folder / "titleabs.tsv", split), Rules())


def test_a_whole_folder(tmp_path: Path) -> None:
    graph = read(tmp_path, {"raw/num-edge-list.csv.gz": "3\n"}).graph
    assert graph.ids.to_pylist() == ["900", "901", "902", "903"]
    assert graph.texts.to_pylist() == [
        'First title\nFirst "abstract',
        "Second\nMore",
        "Third",
        "Fourth\nx",
    ]
    assert graph.label_names == ("new", "old")
    assert graph.labels.tolist() == [0, 1, 0, -1]
    assert graph.adjacency.edges().tolist() == [[0, 1], [1, 2]]
    assert {name: nodes.tolist() for name, nodes in graph.splits.items()} == {
        "train": [0, 1],
        "val": [2],
        "test": [],
    }
    assert dict(graph.notes) == {"missing_labels": 1, "self_loops": 1, "unlabeled_in_split": 1}


def test_ids_of_texts_may_be_floats(tmp_path: Path) -> None:
    """As pandas writes a column of numbers with gaps, whatever else is in it."""
    texts = TEXTS.replace("900", "900.0").replace("903", "903.0") + "A7\tAnother\tid\n"
    mapping = "node idx,paper id\n1,901.0\n0,900.0\n2,902.0\n3,903.0\n"
    graph = read(tmp_path, {"mapping/nodeidx2paperid.csv.gz": mapping}, texts).graph
    assert graph.ids.to_pylist() == ["900", "901", "902", "903"]
    assert graph.texts[0].as_py() == 'First title\nFirst "abstract'


def test_without_mappings_numbers_are_ids_and_labels(tmp_path: Path) -> None:
    changes: dict[str, str | None] = {name: None for name in FILES if name.startswith("mapping")}
    texts = "id,text\n" + "".join(f"{i},text {i}\n" for i in range(4))
    write(tmp_path, changes)
    (tmp_path / "texts.csv").write_text(texts)
    graph = ogb_graph(tmp_path, OgbOptions(tmp_path / "texts.csv"), Rules()).graph
    assert graph.ids.to_pylist() == ["0", "1", "2", "3"]
    assert graph.label_names == ("0", "1")


def test_one_of_several_splits(tmp_path: Path) -> None:
    other = {f"split/random/{name}.csv.gz": f"{i}\n" for i, name in enumerate(["train", "valid"])}
    changes: dict[str, str | None] = {**other, "split/random/test.csv.gz": "2\n"}
    with pytest.raises(BadInputError, match="--split-name; there are: random, time"):
        read(tmp_path, changes)
    assert read(tmp_path, changes, split="time").graph.splits["train"].tolist() == [0, 1]


BAD = [
    ({"raw/edge.csv.gz": "0,1\n1;2\n"}, BadInputError, r"edge\.csv\.gz:2: expected 2 numbers"),
    ({"raw/edge.csv.gz": "0,1\n1,x\n"}, BadInputError, r"edge\.csv\.gz:2: expected whole numbers"),
    ({"raw/edge.csv.gz": "0,1\n1,9\n"}, BadInputError, r"edge\.csv\.gz:2: the edge's target 9 is"),
    ({"raw/edge.csv.gz": ""}, BadInputError, r"edge\.csv\.gz: the file is empty"),
    ({"raw/edge.csv.gz": None}, SourceError, r"edge\.csv\.gz is missing"),
    ({"raw/node-label.csv.gz": "1\n"}, BadInputError, "1 label for 4 nodes"),
    ({"raw/node-label.csv.gz": "1\n0\n2\n0\n"}, BadInputError, "node 2: class 2 has no name"),
    (
        {"raw/node-label.csv.gz": "1\n0\n2\n0\n"},
        BadInputError,
        r"one \(without mapping/labelidx2…: the numbers are the names\)",
    ),
    (
        {"raw/edge.csv.gz": "0,1\n1,2\n", "raw/num-edge-list.csv.gz": "3\n"},
        BadInputError,
        r"edge\.csv\.gz: 2 edges, and num-edge-list\.csv\.gz says 3; fetch",
    ),
    ({"raw/num-node-list.csv.gz": "2\n2\n"}, BadInputError, "2 graphs"),
    ({"split/time/train.csv.gz": "0\n4\n"}, BadInputError, r"train\.csv\.gz:2: 4 is no node"),
    ({"split/time/train.csv.gz": "0\n2\n"}, BadInputError, "is in train and in val"),
    ({"mapping/nodeidx2paperid.csv.gz": "a,b\n0,900\n"}, BadInputError, "each of the 4 nodes"),
    ({"mapping/nodeidx2paperid.csv.gz": "a,b\nx,900\n"}, BadInputError, r"gz:2: expected a number"),
    ({"split/time/train.csv.gz": "1\n1\n0\n"}, BadInputError, r"n\.csv\.gz:2: the node 1 is named"),
    ({"mapping/labelidx2name.csv.gz": "i,n\n0,a\n0,b\n1,c"}, BadInputError, "0 has two names, 'a'"),
]


@pytest.mark.parametrize(("changes", "kind", "message"), BAD)
def test_bad_files_are_refused_with_their_place(
    tmp_path: Path, changes: dict[str, str | None], kind: type[GraphError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        read(tmp_path, changes)


def test_a_node_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="node '901' has no text"):
        read(tmp_path, texts="900\tA\tb\n")


def test_an_id_twice_in_the_texts(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"tsv:6: id '901' is already at .*tsv:3 with another"):
        read(tmp_path, texts=TEXTS + "901\tOther\ttext\n")
    graph = read(tmp_path, texts=TEXTS + "901\tSecond\tMore\n").graph
    assert graph.notes["repeated_texts"] == 1
    assert read(tmp_path, texts=TEXTS + "9\tOf no\tnode\n").graph.num_nodes == 4


def test_texts_in_a_table_whose_columns_are_named(tmp_path: Path) -> None:
    write(tmp_path / "set", {})
    path = tmp_path / "texts.csv"
    rows = "".join(f"{900 + i},{i},T{i},B{i}\n" for i in range(4))
    path.write_text("uid,nid,title,content\n" + rows)
    graph = ogb_graph(tmp_path / "set", OgbOptions(path), Rules()).graph
    assert graph.texts.to_pylist() == [f"T{i}\nB{i}" for i in range(4)]
    assert graph.reading["files"][0]["unread"] == ["nid"]
    options = OgbOptions(path, id_field="uid", text_field=("title",))
    graph = ogb_graph(tmp_path / "set", options, Rules()).graph
    assert graph.texts.to_pylist() == [f"T{i}" for i in range(4)]


@pytest.mark.parametrize("said", [{"id_field": "uid"}, {"text_field": ("title",)}])
def test_columns_are_not_named_where_a_file_has_no_header(
    said: dict[str, Any], tmp_path: Path
) -> None:
    write(tmp_path / "set", {})
    (tmp_path / "titleabs.tsv").write_text(TEXTS)
    with pytest.raises(BadInputError, match="is read without a header, as id, title, abstract"):
        ogb_graph(tmp_path / "set", OgbOptions(tmp_path / "titleabs.tsv", **said), Rules())


def test_a_tar_under_the_name_of_the_texts(tmp_path: Path) -> None:
    write(tmp_path / "set", {})
    path = tmp_path / "titleabs.tsv.gz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("titleabs.tsv")
        entry.size = len(TEXTS)
        archive.addfile(entry, io.BytesIO(TEXTS.encode()))
    graph = ogb_graph(tmp_path / "set", OgbOptions(path), Rules()).graph
    assert graph.texts[1].as_py() == "Second\nMore"


def test_names_of_classes(tmp_path: Path) -> None:
    mapping = FILES["mapping/labelidx2name.csv.gz"]
    built = read(tmp_path, {"mapping/labelidx2name.csv.gz": mapping.replace("1,new", "1,")})
    assert built.graph.label_names == ("1", "old")
    assert built.graph.notes["unnamed_classes"] == 1
    with pytest.raises(BadInputError, match="the classes 0 and 1 have one name, 'old'"):
        read(tmp_path, {"mapping/labelidx2name.csv.gz": mapping.replace("1,new", "1,old")})


def test_large_class_numbers(tmp_path: Path) -> None:
    changes: dict[str, str | None] = {"mapping/labelidx2name.csv.gz": None}
    changes["raw/node-label.csv.gz"] = "21579957011\n5\n5\n5\n"
    assert read(tmp_path, changes).graph.label_names == ("5", "21579957011")


def test_several_labels_a_node_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"csv\.gz:1: .*'0,1'; several labels a node"):
        read(tmp_path, {"raw/node-label.csv.gz": "0,1\n0,0\n1,0\n1,1\n"})


def test_the_folder_above(tmp_path: Path) -> None:
    write(tmp_path / "set" / "arxiv", {})
    (tmp_path / "t.tsv").write_text(TEXTS)
    with pytest.raises(SourceError, match=r"is missing; .*did you mean .*set/arxiv\?"):
        ogb_graph(tmp_path / "set", OgbOptions(tmp_path / "t.tsv"), Rules())


def test_a_part_of_the_split_that_is_empty(tmp_path: Path) -> None:
    splits = read(tmp_path, {"split/time/test.csv.gz": ""}).graph.splits
    assert {name: len(nodes) for name, nodes in splits.items()} == {"train": 2, "val": 1, "test": 0}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mapping/labelidx2other.csv.gz", "i,n\n0,a\n1,b\n", r"labelidx2name\.csv\.gz and labelid"),
        ("raw/edge.csv", "0,1\n", r"raw/edge\.csv\.gz and edge\.csv are both there; remove one"),
    ],
)
def test_of_two_files_that_mean_the_same_none_is_chosen(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, {name: content})


def test_numbers_of_thousands_of_digits_are_refused(tmp_path: Path) -> None:
    digits = "1" * 5_000
    with pytest.raises(BadInputError, match=r"paperid\.csv\.gz:2: expected a number and a name"):
        read(tmp_path, {"mapping/nodeidx2paperid.csv.gz": f"a,b\n{digits},900\n"})
    (tmp_path / "labels").mkdir()
    changes: dict[str, str | None] = {"mapping/nodeidx2paperid.csv.gz": None}
    changes["raw/node-label.csv.gz"] = f"1\n0\n{digits}\n0\n"
    with pytest.raises(BadInputError, match=r"node-label\.csv\.gz:3: expected a class number"):
        read(tmp_path / "labels", changes)


def test_a_split_that_is_missing_is_told_before_the_texts_are_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"valid\.csv\.gz is missing"):
        read(tmp_path, {"split/time/valid.csv.gz": None}, texts="")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"raw/edge.csv.gz": "0,7\n"}, BadInputError, r"target 7 is no node; there are 4, from 0;"),
        (
            {"mapping/nodeidx2paperid.csv.gz": "0,900\n1,901\n2,902\n3,903\n"},
            BadInputError,
            r"must name each of the 4 nodes once, below a header",
        ),
        (
            {"mapping/nodeidx2paperid.csv.gz": "a,b\n0,900\n1,900\n2,902\n3,903\n"},
            BadInputError,
            r"nodeidx2paperid\.csv\.gz: two nodes have the id '900'; each needs its own",
        ),
        (
            {"split/time/valid.csv.gz": None},
            SourceError,
            r"valid\.csv\.gz is missing; expected train\.csv\.gz, valid\.csv\.gz and test",
        ),
    ],
)
def test_each_file_is_told_by_what_is_wrong_with_it(
    tmp_path: Path, changes: dict[str, str | None], error: type[GraphError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        read(tmp_path, changes)
    assert "--id-field" not in str(caught.value)


def test_ids_of_texts_that_pandas_has_made_floats(tmp_path: Path) -> None:
    write(tmp_path / "set", {})
    rows = "".join(f"{number}.0,title {number},\n" for number in range(900, 904))
    (tmp_path / "texts.csv").write_text("id,title,abstract\n" + rows)
    graph = ogb_graph(tmp_path / "set", OgbOptions(tmp_path / "texts.csv"), Rules()).graph
    assert graph.texts[0].as_py() == "title 900"


def test_edges_of_another_form_are_told_before_texts_are_read(tmp_path: Path) -> None:
    for edges, found in (("source,target\n0,1\n", "source,target"), ("0;1\n", "0;1")):
        with pytest.raises(BadInputError, match=rf"edge\.csv\.gz:1: expected .*, found '{found}'"):
            read(tmp_path, {"raw/edge.csv.gz": edges}, "900\tone\n900\tanother\n")


def test_texts_of_other_ids_than_all_nodes_are_told_as_such(tmp_path: Path) -> None:
    """The advice to leave nodes without a text out would leave no node."""
    by_position = "".join(f"{i}\ttitle\tabstract\n" for i in range(4))
    told = r"titleabs\.tsv: no text is of a node: its ids look like '0', those of nodes like '900'"
    with pytest.raises(BadInputError, match=told):
        read(tmp_path, texts=by_position)
