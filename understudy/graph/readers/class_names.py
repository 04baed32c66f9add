"""Reads names for class numbers: listed by class or by node, or as a dict in either direction."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.counting import counted
from understudy.graph.building.cells import CellError, whole_characters
from understudy.graph.building.repairs import RepairLog
from understudy.graph.errors import BadInputError
from understudy.graph.missing import is_missing
from understudy.graph.numerals import whole_number
from understudy.graph.text_graph import string_array

Names = Mapping[int, str | None]  # class number → name; None or blank if the file has none


def named_labels(
    where: str,
    labels: pa.LargeStringArray,
    names: Names | None,
    log: RepairLog,
    without: str = "--label-names-key none",
) -> pa.LargeStringArray:
    """Replaces class numbers by names; markers of missing labels stay.

    A class without a name is called by its number, which is logged.

    Args:
        where: the file, for messages
        labels: large_string [N], class numbers as words, null if there is none
        without: the option that keeps numbers as names, for messages

    Raises:
        BadInputError: a number is beyond the names, or two classes have the same name.
    """
    if not names:
        return labels
    numbers = {value: whole_number(value) for value in pc.unique(labels.drop_null()).to_pylist()}
    name_of_value: dict[str, str] = {}
    for value, number in sorted(numbers.items(), key=lambda pair: pair[1] or 0):
        if number is None or (number < 0 and number not in names):
            continue
        if number not in names:
            node = int(np.argmax(pc.equal(labels, value).to_numpy(zero_copy_only=False)))
            raise BadInputError(
                f"{where} node {node}: class {number} has no name, as only "
                f"{counted(len(names), 'class has one', 'classes have one')} ({without}: the "
                "numbers are the names)"
            )
        name = names[number]
        if name is None or is_missing(name):
            name = str(number)
            log.add(
                "unnamed_classes",
                int(name not in name_of_value.values()),
                f"{where} class {number}",
            )
        name_of_value[value] = name.strip()
    check_distinct(where, name_of_value, numbers, without)
    keys, values = string_array(name_of_value), string_array(name_of_value.values())
    positions = pc.index_in(labels, value_set=keys)
    return pc.if_else(positions.is_valid(), values.take(positions), labels)


def check_distinct(
    where: str, names: Mapping[str, str], numbers: Mapping[str, int | None], without: str
) -> None:
    """Refuses two classes with one name, which would be merged.

    Raises:
        BadInputError: there are such.
    """
    owners: dict[str, int | None] = {}
    for value, name in names.items():
        other = owners.setdefault(name, numbers[value])
        if other != numbers[value]:
            raise BadInputError(
                f"{where}: the classes {other} and {numbers[value]} have one name, {name!r}; give "
                f"each its own, or let the numbers be the names ({without})"
            )


def read_names(where: str, key: str, value: Any, labels: pa.LargeStringArray) -> Names:
    """The names that a file has under a key.

    Args:
        labels: large_string [N], class numbers as words: distinguishes names by node from names by
            class

    Raises:
        BadInputError: it is one string, a set, or anything else that does not assign names to
            classes.
    """
    if has_numbers_for_rows(value):
        listed = [name_of(where, key, item) for item in value.to_list()]
        if (by_node := names_by_node(listed, labels)) is not None:
            return by_node
        value = names_by_row(where, key, value)
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return names_of_mapping(where, key, value)
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        kind = {"str": "one string", "set": "a set, which has no order"}
        given = kind.get(type(value).__name__, type(value).__name__)
        raise BadInputError(
            f"{where}: {key!r} must be a list of class names by number, or a dict, not {given}"
        )
    names = [name_of(where, key, item) for item in value]
    by_node = names_by_node(names, labels)
    return dict(enumerate(names)) if by_node is None else by_node


def has_numbers_for_rows(value: Any) -> bool:
    """Whether a value is a pandas column whose index is not 0, 1, …, and so names classes."""
    if isinstance(value, Mapping) or not (hasattr(value, "items") and hasattr(value, "to_list")):
        return False
    return list(value.index) != list(range(len(value)))


def names_by_row(where: str, key: str, column: Any) -> dict[Any, Any]:
    """The names of such a column by its index.

    Raises:
        BadInputError: one index has different names.
    """
    names: dict[Any, Any] = {}
    for row, name in column.items():
        if names.setdefault(row, name) != name:
            raise BadInputError(f"{where}: {key!r} gives one class two names")
    return names


def name_of(where: str, key: str, item: Any) -> str | None:
    """A name; None if there is none, such as NaN from pandas tables.

    Raises:
        BadInputError: it is no name.
    """
    if item is None or (isinstance(item, float) and item != item):
        return None
    if isinstance(item, (str, int)) and not isinstance(item, bool):
        try:
            return whole_characters(str(item))
        except CellError as error:
            raise BadInputError(
                f"{where}: {key!r} must hold {error}; found {item!r:.60}"
            ) from error
    raise BadInputError(f"{where}: {key!r} must hold names; found {item!r:.60}")


def names_of_mapping(where: str, key: str, value: Mapping[Any, Any]) -> Names:
    """Converts a dict from number to name, or from name to number.

    Raises:
        BadInputError: it is neither, or both.
    """
    forward = [number_of(item) for item in value]
    backward = [number_of(item) for item in value.values()]
    if None not in forward and None in backward:
        if len(set(forward)) < len(forward):
            raise BadInputError(f"{where}: {key!r} gives one class two names")
        pairs = zip(forward, value.values(), strict=True)
        return {number: name_of(where, key, name) for number, name in pairs if number is not None}
    if None not in backward and None in forward:
        if len(set(backward)) < len(backward):
            raise BadInputError(f"{where}: {key!r} gives one class two names")
        pairs = zip(backward, value, strict=True)
        return {number: name_of(where, key, name) for number, name in pairs if number is not None}
    raise BadInputError(
        f"{where}: {key!r} must be a dict from class number to name, or from name to class number"
    )


def number_of(item: Any) -> int | None:
    """A class number, possibly as a word or in an array."""
    if hasattr(item, "item"):
        item = item.item()
    if isinstance(item, bool):
        return None
    return whole_number(str(item)) if isinstance(item, (int, str, float)) else None


def names_by_node(names: Sequence[str | None], labels: pa.LargeStringArray) -> Names | None:
    """The names by class if the list has one per node; otherwise None.

    A list as long as the graph is by node if all nodes of a class have the same name, and some name
    occurs twice.
    """
    if len(names) != len(labels) or len(set(names)) == len(names):
        return None
    by_class: dict[int, str | None] = {}
    for word, name in zip(labels.to_pylist(), names, strict=True):
        number = None if word is None else whole_number(word)
        if number is None or number < 0:
            continue
        if by_class.setdefault(number, name) != name:
            return None
    return by_class
