"""Classes that a repair removes from the graph, or whose nodes have no text."""

import pytest

from tests.unit.graph.readers.shapes import Import

NODES = "id,text,label,split\na,oak,tree,train\nb,elm,tree,val\nc,salt,stone,train\nd,,fish,train\n"
GONE = "no node that is left has a label of 'fish' (1): the graph lacks this class, and no student"
UNWRITTEN = "no node with the label 'fish' has a text of its own"


def test_a_class_without_any_text_is_named(import_text: Import) -> None:
    skipped = import_text(NODES, missing_text="skip")
    assert skipped.graph.label_names == ("stone", "tree")
    assert [remark for remark in skipped.remarks if remark.startswith(GONE)]
    named = import_text(NODES, missing_text="id")
    assert named.graph.label_names == ("fish", "stone", "tree")
    assert [remark for remark in named.remarks if remark.startswith(UNWRITTEN)]


def test_a_class_that_train_lacks_is_named(import_text: Import) -> None:
    built = import_text(NODES.replace("d,,fish,train", "d,cod,fish,test"), unseen_labels="drop")
    assert [remark for remark in built.remarks if remark.startswith(GONE)]


@pytest.mark.parametrize("rule", ["skip", "id"])
def test_classes_that_keep_a_text_are_not(import_text: Import, rule: str) -> None:
    built = import_text(NODES + "e,cod,fish,train\nf,,,\n", missing_text=rule)
    assert not [remark for remark in built.remarks if "no node" in remark and "label" in remark]
