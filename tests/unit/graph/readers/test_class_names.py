"""Names of classes: by class, by node, as dicts; and ambiguous ones."""

from typing import Any

import numpy as np
import pytest

from understudy.graph import BadInputError, string_array
from understudy.graph.building.repairs import RepairLog
from understudy.graph.readers.class_names import named_labels, read_names

NUMBERS = ["2", "0", "1", "2", "0", "1"]
RIGHT = ["rock", "jazz", "folk", "rock", "jazz", "folk"]


def named(names: Any, numbers: list[str] | None = None) -> tuple[list[str], dict[str, int]]:
    labels, log = string_array(numbers or NUMBERS), RepairLog()
    found = read_names("file", "genres", names, labels)
    result: list[str] = named_labels("file", labels, found, log).to_pylist()
    return result, log.notes()


@pytest.mark.parametrize(
    "names",
    [
        ["jazz", "folk", "rock"],
        ("jazz", "folk", "rock"),
        np.array(["jazz", "folk", "rock"]),
        ["jazz", "folk", "rock", "punk", "soul", "punk"],  # as many as nodes, yet by class
        {0: "jazz", 1: "folk", 2: "rock"},
        {"0": "jazz", "2": "rock", "1": "folk"},
        {"rock": 2, "jazz": 0, "folk": 1},
        {"rock": np.int64(2), "jazz": np.int64(0), "folk": np.int64(1)},
        RIGHT,
    ],
)
def test_every_way_to_name_classes(names: Any) -> None:
    assert named(names) == (RIGHT, {})


@pytest.mark.parametrize("gap", ["", "  ", None, float("nan"), "nan", "None"])
def test_a_class_without_a_name_is_called_by_its_number(gap: Any) -> None:
    expected = ["rock", "jazz", "1", "rock", "jazz", "1"]
    assert named(["jazz", gap, "rock"]) == (expected, {"unnamed_classes": 1})


def test_names_of_classes_that_no_node_has_may_repeat() -> None:
    assert named(["jazz", "folk", "rock", "punk", "punk"]) == (RIGHT, {})


def test_large_numbers_need_no_list_of_their_size() -> None:
    assert named({10**11: "far", 5: "near"}, [str(10**11), "5"])[0] == ["far", "near"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("jazz,folk,rock", "one string"),
        ({"jazz", "folk", "rock"}, "a set, which has no order"),
        (["jazz", "jazz", "rock"], "the classes 0 and 1 have one name, 'jazz'"),
        (["jazz", "", "1"], "the classes 1 and 2 have one name, '1'"),
        (["jazz", "folk"], "file node 0: class 2 has no name, as only 2 classes have one"),
        ({0: "jazz", 2: "rock"}, "file node 2: class 1 has no name"),
        ({"jazz": 0, "folk": 0, "rock": 2}, "gives one class two names"),
        ({0: "jazz", "0": "folk", 1: "punk", 2: "rock"}, "gives one class two names"),
        ({0: 1, 1: 0}, "from class number to name, or from name to class number"),
        ([["jazz"], ["folk"], ["rock"]], "must hold names"),
        (3, "not int"),
    ],
)
def test_names_that_do_not_say_whose_they_are(names: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        named(names)
