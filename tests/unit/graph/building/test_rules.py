"""The rules of an import, from Python as on the command line."""

import math
from typing import Any

import numpy as np
import pytest

from understudy.graph import BadInputError, TextGraph
from understudy.graph.building.builder import Rules


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("skip_unknown", "no"),
        ("missing_text", "drop"),
        ("unseen_labels", "skip"),
        ("negative_labels", "no"),
        ("seed", -1),
        ("seed", 1.5),
        ("fractions", (math.nan, 0.2, 0.2)),
        ("fractions", (0.5, 0.5)),
        ("fractions", "0.6,0.2,0.2"),
    ],
)
def test_a_rule_that_is_none_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(BadInputError, match=rf"^{field} must be .*, not "):
        Rules(**{field: value})


@pytest.mark.parametrize("labels", [[0, 1, math.inf], [0, 1, 1e300], np.array([0, 1, 1e17])])
def test_a_class_number_that_is_no_exact_number_is_refused(labels: Any) -> None:
    with pytest.raises(BadInputError, match="'labels' must be class numbers"):
        TextGraph.from_arrays(["oak", "elm", "salt"], [[0, 1]], labels=labels)


def test_class_numbers_of_64_bits_stay_what_they_are() -> None:
    labels = np.array([2**64 - 1, 1, 1], np.uint64)
    graph = TextGraph.from_arrays(["oak", "elm", "salt"], [[0, 1]], labels=labels)
    assert graph.label_names == ("1", str(2**64 - 1))
    half = TextGraph.from_arrays(["a", "b"], [[0, 1]], labels=np.array([3, np.nan], np.float16))
    assert half.label_names == ("3",)


def test_names_of_classes_are_not_dropped_for_want_of_labels() -> None:
    with pytest.raises(BadInputError, match="'label_names' are the names of class numbers; give"):
        TextGraph.from_arrays(["oak", "elm", "salt"], [[0, 1]], label_names=["tree", "rock"])


@pytest.mark.parametrize(
    ("rules", "option"),
    [
        (Rules(seed=3), "seed"),
        (Rules(fractions=(0.8, 0.1, 0.1)), "fractions"),
        (Rules(fractions=(0.8, 0.1, 0.1), seed=3), "fractions and seed"),
    ],
)
def test_how_a_split_is_drawn_is_not_said_where_one_is_given(rules: Rules, option: str) -> None:
    nodes = {
        "id": ["a", "b", "c"],
        "text": ["oak", "elm", "salt"],
        "label": ["tree", "tree", "tree"],
        "split": ["train", "val", "test"],
    }
    edges = {"source": ["a"], "target": ["b"]}
    with pytest.raises(BadInputError, match=rf"^{option} would .*\(column split\).*=.none.$"):
        TextGraph.from_pandas(nodes, edges, rules=rules)
    drawn = TextGraph.from_pandas(nodes, edges, split_field="none", rules=rules)
    assert "drawn at random" in drawn.reading["split"]
    parts = {"train": [0], "val": [1], "test": [2]}
    with pytest.raises(
        BadInputError, match=rf"^{option} would .*that were given\); leave \w+ out$"
    ):
        TextGraph.from_arrays(
            ["oak", "elm", "salt"], [], labels=[0, 0, 0], splits=parts, rules=rules
        )


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": [0, 1], "val": [2], "dev": [2]}, "'val' and 'dev' both mean val"),
        ({"train": [0, 1], "val": None}, "'splits' has None for 'val'"),
    ],
)
def test_no_part_of_a_split_is_lost(splits: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        TextGraph.from_arrays(["oak", "elm", "salt"], [[0, 1]], labels=[0, 1, 0], splits=splits)


def test_rules_that_are_none_are_refused() -> None:
    rules: Any = {"missing_text": "id"}
    message = r"^rules must be understudy\.Rules\(…\), not dict$"
    with pytest.raises(BadInputError, match=message):
        TextGraph.from_arrays(["oak", "elm"], [], rules=rules)
    with pytest.raises(BadInputError, match=message):
        TextGraph.from_pandas({"id": ["a"], "text": ["oak"]}, {}, rules=rules)
