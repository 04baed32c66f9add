"""Splits under unusual names are read, or mentioned if one is drawn instead."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from understudy.graph import BadInputError
from understudy.graph.building.builder import Built, Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph
from understudy.graph.readers.masks import find_split
from understudy.graph.readers.split_files import read_members

PARTS = ("train", "train", "train", "val", "test", "test")
FILE = Path("graph.pt")
TRAIN, VAL, TEST = (np.array([part == name for part in PARTS]) for name in ("train", "val", "test"))


def read(folder: Path, columns: str, *values: list[Any], split: str = "") -> Built:
    rows = [
        f"p{n},text number {n},{'xy'[n % 2]},{','.join(str(column[n]) for column in values)}\n"
        for n in range(6)
    ]
    (folder / "n.csv").write_text(f"id,text,label,{columns}\n" + "".join(rows))
    (folder / "e.csv").write_text("source,target\np0,p1\n")
    files = [folder / "n.csv"], [folder / "e.csv"]
    return import_graph(*files, NodeFields(split=split), EdgeFields(), Rules())


def members(splits: dict[str, Any]) -> dict[str, list[int]]:
    return {name: nodes.tolist() for name, nodes in splits.items()}


GIVEN = {"train": [0, 1, 2], "val": [3], "test": [4, 5]}


@pytest.mark.parametrize("column", ["partition", "Data Split", "dataset", "phase", "usage", "part"])
def test_columns_of_words(tmp_path: Path, column: str) -> None:
    built = read(tmp_path, column, list(PARTS))
    assert members(dict(built.graph.splits)) == GIVEN
    assert not built.random_split


@pytest.mark.parametrize("columns", ["train,val,test", "Train,Valid,Test", "is_train,dev,is_test"])
def test_columns_of_masks(tmp_path: Path, columns: str) -> None:
    masks = ([int(flag) for flag in mask] for mask in (TRAIN, VAL, TEST))
    built = read(tmp_path, columns, *masks)
    assert members(dict(built.graph.splits)) == GIVEN


def test_what_is_no_mask_is_refused_with_a_way_out(tmp_path: Path) -> None:
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    with pytest.raises(BadInputError, match=r"'train' must be true or false.*--split-field none"):
        read(tmp_path, "train,test", scores, scores)
    assert read(tmp_path, "train,test", scores, scores, split="none").random_split


def test_masks_of_letters(tmp_path: Path) -> None:
    masks = (["Y" if flag else "n" for flag in mask] for mask in (TRAIN, VAL, TEST))
    built = read(tmp_path, "train,val,test", *masks)
    assert members(dict(built.graph.splits)) == GIVEN


def test_a_label_called_test_is_no_mask(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("id,text,train,test\np0,oak,IC 1,yes\np1,elm,IC 2,no\n")
    (tmp_path / "e.csv").write_text("source,target\np0,p1\n")
    files = [tmp_path / "n.csv"], [tmp_path / "e.csv"]
    built = import_graph(*files, NodeFields(label="test"), EdgeFields(), Rules())
    assert built.graph.label_names == ("no", "yes")


def test_words_for_stages_are_no_split(tmp_path: Path) -> None:
    built = read(tmp_path, "phase", ["dev", "test", "prod"] * 2)
    assert built.random_split
    assert "phase holds no word for train" in str(built.graph.reading)


@pytest.mark.parametrize("values", [[0.5] * 6, [["x"]] * 6, [{"a": 1}] * 6, [3] * 6])
@pytest.mark.parametrize("name", ["n.jsonl", "n.parquet"])
def test_a_column_that_only_may_be_a_split_holds_anything(
    tmp_path: Path, name: str, values: list[Any]
) -> None:
    rows = [
        {"id": f"p{n}", "text": f"text {n}", "label": "xy"[n % 2], "usage": values[n]}
        for n in range(6)
    ]
    if name == "n.parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    else:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "e.csv").write_text("source,target\np0,p1\n")
    files = [tmp_path / name], [tmp_path / "e.csv"]
    built = import_graph(*files, NodeFields(), EdgeFields(), Rules())
    assert built.random_split
    assert "usage holds no word for train" in str(built.graph.reading)


def test_what_may_be_a_split_is_named_if_one_is_drawn(tmp_path: Path) -> None:
    built = read(tmp_path, "my_split,trained,fold_mask", list(PARTS), [0] * 6, [0] * 6)
    (notice,) = (remark for remark in built.remarks if "drawn at random" in remark)
    assert "'my_split', 'fold_mask' are not read" in notice
    assert "--split-field" in notice
    unread = read(tmp_path, "my_split", list(PARTS), split="none")
    assert not any("drawn at random" in remark for remark in unread.remarks)


@pytest.mark.parametrize(
    "values",
    [
        {"train": TRAIN, "valid": VAL, "test": TEST},
        {"train": [0, 1, 2], "val": [3], "test": [4, 5]},
        {"tr_mask": TRAIN, "va_mask": VAL, "te_mask": TEST},
        {"training_idx": [0, 1, 2], "dev_idx": [3], "testing_idx": [4, 5]},
        {"masks": {"train": TRAIN, "val": VAL, "test": TEST}},
        {"splits": [{"train": [0, 1, 2], "valid": [3], "test": [4, 5]}, {"train": [5]}]},
        {"split": list(PARTS)},
        {"split": np.array(["Train ", *PARTS[1:]])},
    ],
)
def test_keys_of_arrays(values: dict[str, Any]) -> None:
    found = find_split(FILE, values, 0, 6)
    assert found is not None
    assert members(found.members) == GIVEN


def test_one_of_several_dicts() -> None:
    both = [{"train": [0]}, {"train": [5], "test": [4]}]
    found = find_split(FILE, {"splits": both}, 1, 6)
    assert found is not None
    assert members(found.members) == {"train": [5], "test": [4]}
    assert found.origin == "splits, split 1 of 2 (--mask-column)"
    with pytest.raises(BadInputError, match="there is no column 2"):
        find_split(FILE, {"splits": both}, 2, 6)


@pytest.mark.parametrize(
    "values",
    [{"train": True, "test": False}, {"split": "random"}, {"split": [0, 0, 0, 1, 2, 2]}],
)
def test_keys_that_are_no_split(values: dict[str, Any]) -> None:
    assert find_split(FILE, values, 0, 6) is None


def test_a_word_that_is_no_split_is_named_with_its_node() -> None:
    with pytest.raises(BadInputError, match=r"graph.pt node 5: 'later' in 'split' is no split"):
        find_split(FILE, {"split": [*PARTS[:5], "later"]}, 0, 6)
    with pytest.raises(BadInputError, match="this is one split, so there is no column 1"):
        find_split(FILE, {"split": list(PARTS)}, 1, 6)


def test_classes_that_a_given_split_does_not_evaluate_are_named(tmp_path: Path) -> None:
    labels = ["a", "b", "c"] * 4
    splits = ["train"] * 6 + ["val", "val", "none", "test", "none", "none"]
    rows = zip(labels, splits, strict=True)
    (tmp_path / "n.csv").write_text(
        "id,text,label,split\n"
        + "".join(f"p{n},text {n},{label},{part}\n" for n, (label, part) in enumerate(rows))
    )
    (tmp_path / "e.csv").write_text("source,target\np0,p1\n")
    files = [tmp_path / "n.csv"], [tmp_path / "e.csv"]
    given = import_graph(*files, NodeFields(), EdgeFields(), Rules()).remarks
    counts = "of 3 classes, 1 has no validation node ('c'), and 2 have no test node ('b', 'c')"
    assert [remark.partition(":")[0] for remark in given] == [counts]


def test_classes_that_groups_keep_out_of_val_and_test_are_named(tmp_path: Path) -> None:
    rows = "".join(f"p{n},text {n},{'ab'[n % 2]},{'one' if n % 2 else n}\n" for n in range(12))
    (tmp_path / "n.csv").write_text("id,text,label,author\n" + rows)
    (tmp_path / "e.csv").write_text("source,target\np0,p1\n")
    files = [tmp_path / "n.csv"], [tmp_path / "e.csv"]
    remarks = import_graph(*files, NodeFields(group="author"), EdgeFields(), Rules()).remarks
    assert any("1 has no validation node ('b'), and 1 has no test node" in r for r in remarks)


@pytest.mark.parametrize("text", ['{"train_idx": [0], "val_idx": [1]}', '{"p0": "train"}'])
def test_a_splits_file_of_another_form_is_told_what_a_split_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(BadInputError, match=r"s\.json: no split in it \(its keys: .*must be"):
        read_members(tmp_path / "s.json", None)
