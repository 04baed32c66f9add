"""One rule for labels, for files of any format."""

import pytest

from understudy.graph import BadInputError
from understudy.graph.building.labels import encode_labels, read_labels
from understudy.graph.building.records import optional_strings
from understudy.graph.building.repairs import RepairLog


def read(
    labels: list[str | None], negative: str = "auto"
) -> tuple[list[str | None], dict[str, int]]:
    log = RepairLog()
    found = read_labels(optional_strings(labels), negative, log, lambda record: f"row {record}")
    names: list[str | None] = found.to_pylist()
    return names, log.notes()


def test_a_column_that_pandas_has_made_floats() -> None:
    assert read(["0.0", "1.0", "nan", "-1.0"]) == (
        ["0", "1", None, None],
        {"missing_labels": 1, "negative_labels": 1},
    )


def test_a_label_that_no_line_holds_is_refused_with_its_place() -> None:
    assert read(["a" * 500, "b"])[0] == ["a" * 500, "b"]
    with pytest.raises(BadInputError, match=r"row 1: label .* has 501 characters; at most 500"):
        read(["a", "b" * 501])


@pytest.mark.parametrize(
    "word", ["NaN", "null", "NULL", "None", "NA", "N/A", "<NA>", "#REF!", "\\N", "?"]
)
def test_words_for_a_missing_label(word: str) -> None:
    assert read(["a", word, "none"]) == (["a", None, "none"], {"missing_labels": 1})


@pytest.mark.parametrize("minus", ["-1", "-1.0", "-1e0"])
def test_minus_one_beside_one_is_a_class(minus: str) -> None:
    assert read([minus, "1", minus]) == (["-1", "1", "-1"], {})
    assert read(["+1", minus, None]) == (["1", "-1", None], {})


def test_minus_one_beside_other_labels_is_none_and_counted() -> None:
    assert read(["-1", "0", "1"]) == ([None, "0", "1"], {"negative_labels": 1})
    assert read(["-1", "x", "y"]) == ([None, "x", "y"], {"negative_labels": 1})
    assert read(["-1", "0", "1"], "class") == (["-1", "0", "1"], {})
    assert read(["-1", "1"], "none") == ([None, "1"], {"negative_labels": 1})


def test_several_negative_numbers_are_refused_until_it_is_said_what_they_mean() -> None:
    with pytest.raises(
        BadInputError, match=r"row 1: label '-2': there are 2 negative .*--negative"
    ):
        read(["0", "-2", "-1", "1"])
    assert read(["0", "-2", "-1"], "class")[0] == ["0", "-2", "-1"]
    assert read(["0", "-2", "-1"], "none")[0] == ["0", None, None]


def test_names_that_only_look_like_numbers_stay() -> None:
    assert read(["007", "7"])[0] == ["007", "7"]
    assert read(["1.0", "beta"])[0] == ["1.0", "beta"]
    assert read(["0.5", "1.0", "-2.5"])[0] == ["0.5", "1.0", "-2.5"]
    assert read(["2.000e+00", "2", "3."])[0] == ["2", "2", "3"]


def test_true_and_false_in_any_case() -> None:
    assert read(["TRUE", "False", "true"])[0] == ["true", "false", "true"]
    assert read(["True", "maybe"])[0] == ["True", "maybe"]


def test_numbers_are_in_numeric_order() -> None:
    labels, names = encode_labels(optional_strings(["10", "9", None, "-1"]))
    assert names == ("-1", "9", "10")
    assert labels.tolist() == [2, 1, -1, 0]
