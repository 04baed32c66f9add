"""Remarks on nodes and classes whose names seem to say that there is none."""

from pathlib import Path

import pytest

from understudy.graph import BadInputError, TextGraph
from understudy.graph.building.builder import Built, Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph

CLASSES = "id,text,label\n1,oak,tree\n2,elm,{0}\n3,ash,{0}\n"


def imported(folder: Path, nodes: str, edges: str, rules: Rules | None = None) -> Built:
    (folder / "n.csv").write_text(nodes)
    (folder / "e.csv").write_text(edges)
    files = [folder / "n.csv"], [folder / "e.csv"]
    return import_graph(*files, NodeFields(), EdgeFields(), rules or Rules())


@pytest.mark.parametrize("name", ["nan", "NULL", "None", "?", "#REF!"])
def test_a_node_called_like_a_gap_is_told_with_its_links(tmp_path: Path, name: str) -> None:
    nodes = f"id,text\n1,oak\n{name},elm\n3,ash\n"
    built = imported(tmp_path, nodes, f"source,target\n1,{name}\n3,{name}\n")
    remark = next(words for words in built.remarks if "missing value" in words)
    assert f"{name!r} ({tmp_path / 'n.csv'}:3, column 'id'), and 2 links" in remark
    assert built.graph.num_nodes == 3


@pytest.mark.parametrize(
    "name", ["unknown", "N.A.", "-", "none", "(Not set)", "<unlabeled>", "nil"]
)
def test_a_class_called_like_none_is_told_with_its_nodes(tmp_path: Path, name: str) -> None:
    built = imported(tmp_path, CLASSES.format(name), "source,target\n1,2\n")
    remark = next(words for words in built.remarks if "read as a class" in words)
    assert f"{name!r} (2 nodes)" in remark


@pytest.mark.parametrize("name", ["other", "misc", "nonempty", "nano", "x-"])
def test_other_classes_are_not_taken_for_none(tmp_path: Path, name: str) -> None:
    built = imported(tmp_path, CLASSES.format(name), "source,target\n1,2\n")
    assert not any("read as a class" in words for words in built.remarks)
    assert not any("missing value" in words for words in built.remarks)


def test_nodes_that_all_lack_a_text_are_not_called_empty_records(tmp_path: Path) -> None:
    skip = Rules(missing_text="skip")
    with pytest.raises(BadInputError, match=r"no node of .*n\.csv has a text.*--missing-text id"):
        imported(tmp_path, "id,label\n1,a\n2,b\n", "source,target\n1,2\n", skip)


def test_a_graph_in_memory_is_read_by_the_same_rules(caplog: pytest.LogCaptureFixture) -> None:
    TextGraph.from_arrays(["oak", "elm"], [(0, 1)], labels=["tree", "unknown"])
    assert "read as a class: 'unknown'" in caplog.text
