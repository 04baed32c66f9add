"""A version never changes, whatever is overwritten, added, or taken back later."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from understudy.graph.mutable.versions import Undo, Version, VersionedMap, VersionedTable

ROWS = 6  # of the base; more are added

writes = st.lists(
    st.tuples(st.dictionaries(st.integers(0, 200), st.integers(1, 99), max_size=4), st.booleans()),
    max_size=8,
)


def step(version: Version, taken_back: bool, undo: Undo) -> Version:
    """Ends a change: published, or taken back under a version of its own."""
    if taken_back:
        undo.restore()
    undo.next = Version(version.number + (not taken_back))
    return undo.next


def padded(values: NDArray[Any]) -> NDArray[np.int64]:
    rows = np.zeros(201, np.int64)
    rows[: len(values)] = values
    return rows


@given(writes)
def test_every_kept_version_of_a_table_stays(changes: list[tuple[dict[int, int], bool]]) -> None:
    table = VersionedTable(np.arange(ROWS))
    table.reserve(201)
    rows = np.arange(201)
    version, model = Version(0), padded(np.arange(ROWS))
    kept = [(version, model)]
    for change, taken_back in changes:
        undo = version.undo = Undo()
        touched = np.array(sorted(change), np.int64)
        values = np.array([change[row] for row in touched.tolist()], np.int64)
        table.put(undo, touched, values)
        np.testing.assert_array_equal(table.take(version, rows), model)  # not published yet
        version = step(version, taken_back, undo)
        if not taken_back:
            model = model.copy()
            model[touched] = values
        kept.append((version, model))
        for old, expected in kept:
            np.testing.assert_array_equal(table.take(old, rows), expected)


@given(writes)
def test_every_kept_version_of_a_map_stays(changes: list[tuple[dict[int, int], bool]]) -> None:
    versioned: VersionedMap[int, int] = VersionedMap()
    version, model = Version(0), dict[int, int]()
    kept = [(version, model)]
    for change, taken_back in changes:
        undo = version.undo = Undo()
        model = dict(model)
        for key, value in change.items():
            removed = value % 3 == 0
            versioned.put(undo, key, None if removed else value)
            if not taken_back:
                model.pop(key, None) if removed else model.update({key: value})
        version = step(version, taken_back, undo)
        kept.append((version, model))
        for old, expected in kept:
            assert versioned.items(old) == expected
            assert {key: versioned.get(old, key) for key in expected} == expected
            assert all(versioned.get(old, key) is None for key in set(change) - set(expected))


def test_old_values_go_with_their_last_reader() -> None:
    """A long chain of versions nobody holds is freed, and freeing it does not recurse too deep."""
    table = VersionedTable(np.zeros(4))
    first = version = Version(0)
    for number in range(1, 50_000):
        undo = version.undo = Undo()
        table.put(undo, np.array([number % 4]), np.array([float(number)]))
        undo.next = Version(number)
        version = undo.next
    np.testing.assert_array_equal(table.take(first, np.arange(4)), np.zeros(4))
    del first
    np.testing.assert_array_equal(table.take(version, np.arange(4)).max(), 49_999)


def test_a_value_that_is_overwritten_while_it_is_read_is_the_versions() -> None:
    """A change begins after the reader has looked whether there is one."""
    table, version = VersionedTable(np.array([7])), Version(0)
    values = table.base

    class Overtaken:
        def __getitem__(self, row: int) -> int:
            version.undo = Undo()
            table.base = values
            table.put(version.undo, np.array([0]), np.array([9]))
            return int(values[row])

    table.base = Overtaken()  # type: ignore[assignment]
    assert table.value(version, 0) == 7


def test_a_reader_that_is_overtaken_stays_with_its_version() -> None:
    """The writer ends a step and begins another one while a reader is between the two."""
    versioned: VersionedMap[str, str] = VersionedMap()
    versioned.overwrite("key", "zero")
    version = Version(0)
    step_one = version.undo = Undo()
    value = versioned.current.get("key")  # what `get` reads first
    walk = version.undos()
    assert versioned not in next(walk).maps  # it looks, finds no note, and is switched out
    versioned.put(step_one, "key", "one")
    step_one.next = Version(1)
    step_two = step_one.next.undo = Undo()
    versioned.put(step_two, "key", "two")
    assert [undo.maps[versioned]["key"] for undo in walk] == []
    assert value == versioned.get(version, "key") == "zero"
