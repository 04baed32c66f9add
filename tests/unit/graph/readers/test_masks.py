"""Splits in files of arrays, in the shapes that are published."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.graph import BadInputError
from understudy.graph.readers.masks import find_split

FILE = Path("graph.pt")
TRAIN = np.array([True, True, False, False])
REST = {"train": [0, 1], "val": [2], "test": [3]}
VAL, TEST = np.array([False, False, True, False]), np.array([False, False, False, True])


def members(column: int = 0, **values: Any) -> dict[str, list[int]]:
    found = find_split(FILE, values, column, 4)
    assert found is not None
    return {name: sorted(nodes.tolist()) for name, nodes in found.members.items()}


@pytest.mark.parametrize(
    "values",
    [
        {"train_mask": TRAIN, "val_mask": VAL, "test_mask": TEST},
        {"train_mask": TRAIN.astype(np.uint8), "valid_mask": VAL, "test_mask": TEST.astype(float)},
        {"train_mask": TRAIN.tolist(), "val_mask": VAL.reshape(4, 1), "test_mask": TEST},
        {"train_masks": [TRAIN, VAL], "val_masks": [VAL, TEST], "test_masks": [TEST, TRAIN]},
        {"train_mask": np.stack([TRAIN, VAL]), "val_mask": VAL, "test_mask": TEST},
        {"train_mask": np.stack([TRAIN, VAL], axis=1), "val_mask": VAL, "test_mask": TEST},
        {"train_id": np.array([0, 1]), "val_id": np.array([2]), "test_id": np.array([3])},
        {"idx_train": [1, 0], "idx_val": [2], "idx_test": [3]},
        {"train_idx": np.array([0, 1]), "valid_idx": [2], "test_idx": [3]},
        {"split_idx": {"train": np.array([0, 1]), "valid": [2], "test": [3]}},
        {"splits": {"train": TRAIN, "val": VAL, "test": TEST}},
        {"train_mask": TRAIN, "val_mask": VAL, "test_mask": TEST, "train_id": [3]},
    ],
)
def test_every_way_to_say_a_split(values: dict[str, Any]) -> None:
    assert members(**values) == REST


def test_one_of_several_splits() -> None:
    assert members(1, train_masks=[TRAIN, VAL]) == {"train": [2]}
    assert members(1, train_mask=np.stack([TRAIN, TEST], axis=1)) == {"train": [3]}
    found = find_split(FILE, {"train_masks": [TRAIN, VAL]}, 1, 4)
    assert found is not None
    assert found.origin == "train_masks, split 1 of 2 (--mask-column)"


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (1, {"train_mask": TRAIN, "val_mask": VAL}, "this is one split, so there is no column 1"),
        (3, {"split_idx": {"train": [0, 1]}}, "this is one split, so there is no column 3"),
        (-1, {"train_masks": [TRAIN, VAL]}, "has 2 columns, there is no column -1"),
    ],
)
def test_a_split_that_the_file_does_not_have_is_no_other_one(
    column: int, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        members(column, **values)
    # A test mask that all splits share is by itself.
    shared = {"train_mask": np.stack([TRAIN, VAL], axis=1), "test_mask": TEST}
    assert members(1, **shared) == {"train": [2], "test": [3]}


def test_positions_under_the_name_of_a_mask_are_told() -> None:
    found = find_split(FILE, {"train_mask": np.array([0, 1, 2, 3])}, 0, 4)
    assert found is not None
    assert found.members["train"].tolist() == [0, 1, 2, 3]
    assert found.origin == "train_mask, read as node positions"


def test_no_split() -> None:
    assert find_split(FILE, {"y": TRAIN, "split": "random"}, 0, 4) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train_mask": np.array([True])}, r"'train_mask' must be a mask of 4, not bool \[1\]"),
        ({"train_mask": np.ones((3, 3))}, r"must be a mask of 4, not float64 \[3, 3\]"),
        ({"train_mask": np.eye(4)}, "which way do the masks lie"),
        ({"train_mask": ["True"] * 4}, "must be a mask of 4, not <U4"),
        ({"train_mask": np.array([0.5, 0, 1, 0])}, "must be a mask of 4, not float64"),
        ({"train_idx": np.array([0, 4])}, "holds 4, which is no node; there are 4, from 0"),
        ({"train_idx": np.array([0, -1])}, "holds -1, which is no node"),
        ({"split_idx": {"train": [2, 2]}}, "'split_idx' holds node 2 more than once"),
        ({"train_mask": np.array([1, -1, -1, 1])}, "holds -1, .*if it is a mask, .*true and false"),
        ({"train_mask": np.array([2, 0, 0, 2])}, "node 0 more than once; if it is a mask"),
    ],
)
def test_what_is_no_split(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        find_split(FILE, values, 0, 4)


def test_a_split_beyond_the_last() -> None:
    with pytest.raises(BadInputError, match="has 1 columns, there is no column 1"):
        find_split(FILE, {"train_masks": [TRAIN]}, 1, 4)


def test_a_part_that_no_graph_has_is_told() -> None:
    found = find_split(FILE, {"split_idx": {**REST, "Holdout": [3]}}, 0, 4)
    assert found is not None
    assert found.origin == "split_idx, of which Holdout is not read"
