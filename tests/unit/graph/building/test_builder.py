"""Every kind of invalid record: refused with its place, or repaired and counted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.graph import BadInputError
from understudy.graph.building.builder import Built
from understudy.graph.readers.fields import NodeFields
from understudy.graph.readers.files import SplitFile

Import = Callable[..., Built]
NODES = "id,text,label,split\na,one,x,train\nb,two,y,train\nc,three,x,val\nd,four,y,test\n"


def counts(built: Built) -> dict[str, int]:
    assert {repair.kind: repair.count for repair in built.repairs} == dict(built.graph.notes)
    return dict(built.graph.notes)


def firsts(built: Built) -> dict[str, str]:
    return {repair.kind: repair.first.rpartition("/")[2] for repair in built.repairs}


def test_a_good_import(import_text: Import) -> None:
    built = import_text(NODES, "source,target\na,b\nb,c\n")
    graph = built.graph
    assert graph.ids.to_pylist() == ["a", "b", "c", "d"]
    assert graph.texts.to_pylist() == ["one", "two", "three", "four"]
    assert graph.label_names == ("x", "y")
    assert graph.labels.tolist() == [0, 1, 0, 1]
    assert graph.adjacency.edges().tolist() == [[0, 1], [1, 2]]
    assert {name: list(nodes) for name, nodes in graph.splits.items()} == {
        "train": [0, 1],
        "val": [2],
        "test": [3],
    }
    assert not built.repairs
    assert not built.random_split


def test_an_unknown_endpoint_is_refused_with_its_line(import_text: Import) -> None:
    with pytest.raises(BadInputError, match=r"edges\.csv:3: the edge's target 'zz' is no node"):
        import_text(NODES, "source,target\na,b\nb,zz\nqq,a\n")


@pytest.mark.parametrize("written", ["Cafe\u0301 1", "CAF\u00c9 1", "caf\u00e9  1"])
def test_an_endpoint_that_looks_like_a_node_s_id_is_told_so(
    import_text: Import, written: str
) -> None:
    nodes = "id,text\na,one\ncaf\u00e9 1,two\n"
    with pytest.raises(
        BadInputError, match=r"edges\.csv:2: .* though 'café 1' is, and they differ"
    ):
        import_text(nodes, f"source,target\na,{written}\n")


def test_unknown_endpoints_are_dropped_on_request(import_text: Import) -> None:
    built = import_text(NODES, "source,target\na,b\nb,zz\nqq,a\n", skip_unknown=True)
    assert counts(built) == {"unknown_endpoints": 2}
    assert firsts(built) == {"unknown_endpoints": "edges.csv:3"}
    assert built.graph.adjacency.num_edges == 1


def test_an_empty_endpoint_is_refused_with_its_line(import_text: Import) -> None:
    with pytest.raises(BadInputError, match=r"edges\.csv:2: the edge's source is empty"):
        import_text(NODES, "source,target\n,b\n")


def test_a_duplicate_id_is_refused_with_both_lines(import_text: Import) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv:6: id 'a' is already at .*nodes\.csv:2"):
        import_text(NODES + "a,other,x,train\n")


def test_an_identical_record_is_kept_once(import_text: Import) -> None:
    built = import_text(NODES + "a,one,x,train\n", "source,target\na,d\n")
    assert counts(built) == {"repeated_nodes": 1}
    assert firsts(built) == {"repeated_nodes": "nodes.csv:6"}
    assert built.graph.num_nodes == 4


@pytest.mark.parametrize("text", ["", "   ", "\t"])
def test_a_missing_text_is_refused_with_its_line(import_text: Import, text: str) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv:3: node 'b' has no text"):
        import_text(f"id,text\na,one\nb,{text}\n")


def test_a_node_without_text_is_left_out_on_request(import_text: Import) -> None:
    nodes = "id,text\na,one\nb,\nc,three\n"
    built = import_text(nodes, "source,target\na,b\na,c\n", missing_text="skip")
    assert counts(built) == {"nodes_without_text": 1, "edges_of_nodes_left_out": 1}
    assert firsts(built)["nodes_without_text"] == "nodes.csv:3"
    assert built.graph.ids.to_pylist() == ["a", "c"]
    assert built.graph.adjacency.edges().tolist() == [[0, 1]]


def test_the_id_stands_for_a_missing_text_on_request(import_text: Import) -> None:
    built = import_text("id,text\na,one\nb,\n", missing_text="id")
    assert counts(built) == {"texts_from_ids": 1}
    assert built.graph.texts.to_pylist() == ["one", "b"]


def test_all_texts_missing_is_refused_even_then(import_text: Import) -> None:
    with pytest.raises(BadInputError, match=r"no node of .* has a text"):
        import_text("id,text\na,\n", missing_text="skip")


def test_an_empty_id_is_refused_with_its_line(import_text: Import) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv:3: the node's id is empty"):
        import_text("id,text\na,one\n ,two\n")


def test_a_label_of_two_lines_is_refused_with_its_line(import_text: Import) -> None:
    with pytest.raises(
        BadInputError, match=r"nodes\.csv:3: label 'x\\n- y' contains a control character, '\\n'; w"
    ):
        import_text('id,text,label\na,one,x\nb,two,"x\n- y"\nc,three,x\n')


def test_self_loops_and_repeated_edges_are_repaired_and_counted(import_text: Import) -> None:
    edges = "source,target\na,b\nb,b\na,b\nb,a\nc,c\na,b\n"
    built = import_text(NODES, edges)
    assert counts(built) == {"self_loops": 2, "duplicate_edges": 2, "reversed_edges": 1}
    assert firsts(built) == {
        "self_loops": "edges.csv:3",
        "duplicate_edges": "edges.csv:4",
        "reversed_edges": "edges.csv:5",
    }
    assert built.graph.adjacency.num_edges == 1


def test_a_label_only_in_test_is_refused_with_its_line(import_text: Import) -> None:
    nodes = NODES + "e,five,z,test\n"
    with pytest.raises(BadInputError, match=r"nodes\.csv:6: node 'e' has label 'z'.*not in train"):
        import_text(nodes)


def test_a_label_only_in_test_is_removed_on_request(import_text: Import) -> None:
    built = import_text(NODES + "e,five,z,test\n", unseen_labels="drop")
    assert counts(built) == {"unseen_labels": 1}
    assert firsts(built) == {"unseen_labels": "nodes.csv:6"}
    assert built.graph.label_names == ("x", "y")
    assert built.graph.labels.tolist() == [0, 1, 0, 1, -1]
    assert built.graph.splits["test"].tolist() == [3]


def test_an_unlabelled_node_leaves_its_split(import_text: Import) -> None:
    built = import_text(NODES + "e,five,,train\n")
    assert counts(built) == {"unlabeled_in_split": 1}
    assert built.graph.splits["train"].tolist() == [0, 1]


def test_an_unknown_split_is_refused_with_its_line(import_text: Import) -> None:
    with pytest.raises(BadInputError, match=r"csv:2: 'holdout' is no split.*--split-field none"):
        import_text("id,text,label,split\na,one,x,holdout\n")


def test_the_word_none_and_synonyms_of_splits(import_text: Import) -> None:
    nodes = "id,text,label,split\na,1,x,Training\nb,2,x,valid\nc,3,x,none\nd,4,x,\ne,5,x,TEST\n"
    splits = import_text(nodes).graph.splits
    assert {name: list(nodes) for name, nodes in splits.items()} == {
        "train": [0],
        "val": [1],
        "test": [4],
    }


def test_no_split_given_means_a_random_one(import_text: Import) -> None:
    nodes = "id,text,label\n" + "".join(f"n{i},text {i},{'xy'[i % 2]}\n" for i in range(20))
    built = import_text(nodes, fractions=(0.4, 0.3, 0.3), seed=3)
    assert built.random_split
    sizes = {name: len(members) for name, members in built.graph.splits.items()}
    assert sizes == {"train": 8, "val": 6, "test": 6}


def test_groups_stay_together_in_a_random_split(import_text: Import) -> None:
    rows = "".join(f"n{i},text {i},x,g{i // 4}\n" for i in range(40))
    fields = NodeFields(group="group")
    graph = import_text("id,text,label,group\n" + rows, node_fields=fields).graph
    assert graph.groups is not None
    assert graph.groups.tolist() == [i // 4 for i in range(40)]
    parts = [set(graph.groups[members].tolist()) for members in graph.splits.values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10


def test_nodes_without_a_group_are_groups_of_their_own(import_text: Import) -> None:
    nodes = "id,text,group\na,1,g\nb,2,\nc,3,g\nd,4,\n"
    graph = import_text(nodes, node_fields=NodeFields(group="group")).graph
    assert graph.groups is not None
    assert graph.groups.tolist() == [0, 1, 0, 2]


def test_numeric_labels_are_in_numeric_order_and_negative_ones_are_none(
    import_text: Import,
) -> None:
    built = import_text("id,text,label\na,1,10\nb,2,9\nc,3,-1\nd,4,10\n")
    assert built.graph.label_names == ("9", "10")
    assert built.graph.labels.tolist() == [1, 0, -1, 1]


def test_no_labels_at_all_is_a_graph_without_splits(import_text: Import) -> None:
    graph = import_text("id,text\na,one\nb,two\n").graph
    assert graph.num_classes == 0
    assert not graph.splits
    with pytest.raises(BadInputError, match="--seed would draw a random split, but no node has"):
        import_text("id,text\na,one\n", seed=5)


def test_several_files_name_the_right_one(import_text: Import, tmp_path: Path) -> None:
    from understudy.graph.building.builder import Rules
    from understudy.graph.readers.fields import EdgeFields
    from understudy.graph.readers.files import import_graph

    (tmp_path / "first.csv").write_text("id,text\na,one\n")
    (tmp_path / "second.csv").write_text("id,text\nb,two\n\n\nc,\n")
    (tmp_path / "edges.csv").write_text("src,dst\na,b\n")
    files = [tmp_path / "first.csv", tmp_path / "second.csv"]
    with pytest.raises(BadInputError, match=r"second\.csv:5: node 'c' has no text"):
        import_graph(files, [tmp_path / "edges.csv"], NodeFields(), EdgeFields(), Rules())


def test_a_named_split_by_id_or_position(import_text: Import, tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    given: dict[str, dict[str, list[str] | list[int]]] = {}
    given["one"] = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    given["two"] = {"train": [2, 3], "valid": [1], "test": [0]}
    path.write_text(json.dumps(given))
    by_id = import_text(NODES, splits=SplitFile(path, "one")).graph.splits
    assert [list(by_id[name]) for name in ("train", "val", "test")] == [[0, 1], [2], [3]]
    by_position = import_text(NODES, splits=SplitFile(path, "two")).graph.splits
    assert [list(by_position[name]) for name in ("train", "val", "test")] == [[2, 3], [1], [0]]


def test_integers_are_ids_or_positions_and_never_a_guess(
    import_text: Import, tmp_path: Path
) -> None:
    nodes = "id,text,label\n1,one,x\n2,two,x\n3,three,x\n"
    path = tmp_path / "splits.json"

    def parts(by: str = "auto") -> list[list[int]]:
        splits = import_text(nodes, splits=SplitFile(path, None, by)).graph.splits
        return [splits[name].tolist() for name in ("train", "val", "test")]

    path.write_text('{"train": [1], "val": [2], "test": [0]}')
    assert parts("position") == [[1], [2], [0]]
    for by in ("auto", "id"):
        with pytest.raises(BadInputError, match=r"test\[0\] is 0, which is no node's id, unlike 2"):
            parts(by)
    path.write_text('{"train": [1], "val": [2], "test": [3]}')
    assert parts() == [[0], [1], [2]]
    with pytest.raises(BadInputError, match=r"test\[0\] is 3, which is no position"):
        parts("position")
    nodes = nodes.replace("1,one", "a,one").replace("2,two", "b,two").replace("3,th", "c,th")
    path.write_text('{"train": [1], "val": [2], "test": [0]}')
    assert parts() == [[1], [2], [0]]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("{", None, r"splits\.json:1: broken JSON"),
        ("[]", None, "expected an object"),
        ('{"a": {"train": []}, "b": {"train": []}}', None, "--split-name: a, b"),
        ('{"a": {"train": []}}', "c", "no split 'c'; it has a"),
        ('{"a": {"learn": []}}', "a", "train, val and test"),
        ('{"a": {"train": "x"}}', "a", "list of node ids"),
        ('{"a": {"train": [true]}}', "a", "list of node ids"),
        ('{"a": {"train": ["a", "zz"]}}', "a", r"train\[1\] is 'zz'"),
        ('{"a": {"train": [7]}}', "a", r"train\[0\] is 7"),
        ('{"a": {"train": ["a"], "test": ["a"]}}', "a", "is in train and in test"),
        (
            '{"a": {"train": ["b", "a", "c", " a"]}}',
            "a",
            r"train\[3\] is ' a', the same node as \[1\]",
        ),
        (
            '{"a": {"train": [1, 0, 0, 1]}}',
            "a",
            r"train\[2\] is 0, .* positions .* never as a mask",
        ),
    ],
)
def test_bad_named_splits(
    import_text: Import, tmp_path: Path, content: str, name: str | None, message: str
) -> None:
    path = tmp_path / "splits.json"
    path.write_text(content)
    with pytest.raises(BadInputError, match=message):
        import_text(NODES, splits=SplitFile(path, name))
