"""The meaning of labels, with the same rules for every reader.

- A list of one label, also in text form such as `['x']`, is that label. A list of several is
  refused.
- A blank, or a word for a missing value (`NaN`, `null`, `?`), is no label.
- If all labels are whole numbers, `2.0` is `2`; if all are true and false, case is ignored.
- A negative number among other labels is no label. Only -1 and 1 are two classes. Several negative
  numbers are ambiguous, and are refused until `--negative-labels` says what they mean.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.folders.names import name_problem
from understudy.graph.building.cells import CellError, label_of, written_list
from understudy.graph.building.repairs import RepairLog
from understudy.graph.errors import BadInputError
from understudy.graph.missing import UNKNOWN_MARKS, missing_words
from understudy.graph.names import LONGEST_LABEL
from understudy.graph.numerals import is_number, renamed, ungrouped, whole_number
from understudy.graph.text_graph import UNLABELED, string_array

NEGATIVE_LABELS = ("auto", "none", "class")
SIGNS = {-1, 1}  # classes such as spam or sentiment

Place = Callable[[int], str]  # where a record was read


def read_labels(
    column: pa.LargeStringArray, negative: str, log: RepairLog, at: Place
) -> pa.LargeStringArray:
    """The labels' names, null if there is none.

    Args:
        column: large_string [n], trimmed, null if blank
        negative: auto · none: negative numbers are no labels · class: they are

    Raises:
        BadInputError: several negative numbers, and `negative` is auto; or a label that would break
            or flood a line of a prompt or a table.
    """
    column = without_lists(column, at)
    column = dropped(column, missing_words(column, UNKNOWN_MARKS), "missing_labels", log, at)
    values: list[str] = pc.unique(column.drop_null()).to_pylist()
    for value in values:
        if problem := name_problem(value, LONGEST_LABEL):
            where = at(pc.index(column, value).as_py())
            raise BadInputError(
                f"{where}: label {value!r:.60} {problem}; write it shorter, on one line, or name "
                "another column with --label-field, or none"
            )
    numbers = {value: whole_number(value) for value in values}
    refused = not_labels(numbers, negative, column, at)
    if refused:
        negatives = pc.is_in(column, value_set=string_array(refused))
        column = dropped(column, negatives, "negative_labels", log, at)
    names = plain_names([value for value in values if value not in refused])
    if dotted := [value for value in names if is_dotted(value) and ungrouped(value) in names]:
        where = pc.is_in(column, value_set=string_array(dotted)).to_numpy(zero_copy_only=False)
        log.add("dotted_labels", int(where.sum()), at(int(np.argmax(where))))
    return renamed(column, names)


def without_lists(column: pa.LargeStringArray, at: Place) -> pa.LargeStringArray:
    """Replaces lists of one label in text form by that label.

    Raises:
        BadInputError: a list has several labels, or something else.
    """
    begins = pc.starts_with(column, "[")
    if not pc.any(begins).as_py():
        return column
    names: dict[str, str | None] = {}
    for value in pc.unique(column.filter(begins)).to_pylist():
        items = written_list(value)
        if items is None:
            continue
        try:
            names[value] = label_of(items)
        except CellError as error:
            where = at(pc.index(column, value).as_py())
            raise BadInputError(f"{where}: label {value!r:.60} must be {error}") from error
    return renamed(column, names)


def dropped(
    column: pa.LargeStringArray, where: pa.BooleanArray, kind: str, log: RepairLog, at: Place
) -> pa.LargeStringArray:
    mask = pc.fill_null(where, False).to_numpy(zero_copy_only=False)
    if not mask.any():
        return column
    log.add(kind, int(mask.sum()), at(int(np.argmax(mask))))
    return pc.if_else(pa.array(mask), pa.scalar(None, pa.large_string()), column)


def not_labels(
    numbers: dict[str, int | None], negative: str, column: pa.LargeStringArray, at: Place
) -> set[str]:
    """The negative numbers that mean that there is no label."""
    below = {value for value, number in numbers.items() if number is not None and number < 0}
    fractions = any(number is None for number in numbers.values())
    if negative == "class" or (fractions and all(map(is_number, numbers))):  # scores, not classes
        return set()
    if negative == "auto" and set(numbers.values()) == SIGNS:
        return set()
    different = {numbers[value] for value in below}
    if negative == "auto" and len(different) > 1:
        record = int(np.argmax(pc.is_in(column, value_set=string_array(below)).to_numpy(False)))
        raise BadInputError(
            f"{at(record)}: label {column[record].as_py()!r}: there are {len(different)} negative "
            "numbers among the labels; say whether they are classes, with --negative-labels "
            "class, or mean that a node has none, with --negative-labels none"
        )
    return below


def plain_names(values: list[str]) -> dict[str, str | None]:
    """One spelling per class: whole numbers without a fraction, booleans in lower case."""
    numbers = {value: whole_number(value) for value in values}
    if all(number is not None for number in numbers.values()):
        return {value: str(number) for value, number in numbers.items()}
    if all(value.lower() in ("true", "false") for value in values):
        return {value: value.lower() for value in values}
    return {}


def is_dotted(value: str) -> bool:
    """Whether a whole number's point may set its thousands apart, such as `1.000`, read as 1."""
    return "." in value and ungrouped(value) is not None


def encode_labels(column: pa.LargeStringArray) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """int64 [N] and the names: numbers in ascending order, other names alphabetically."""
    names: list[str] = pc.unique(column.drop_null()).to_pylist()
    numbers = {name: whole_number(name) for name in names}
    if all(number is not None for number in numbers.values()):
        names.sort(key=lambda name: (numbers[name] or 0, name))
    else:
        names.sort()
    codes = pc.fill_null(pc.index_in(column, value_set=string_array(names)), UNLABELED)
    return codes.to_numpy(zero_copy_only=False).astype(np.int64), tuple(names)
