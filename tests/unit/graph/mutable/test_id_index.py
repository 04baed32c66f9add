"""The index of ids by hash, against a dictionary."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph.mutable.id_index import FEW, IdIndex, rows_of_ids
from understudy.graph.mutable.versions import Undo, Version, VersionedMap
from understudy.graph.text_graph import string_array

NAMES = st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=40)


@given(NAMES, NAMES)
def test_it_finds_what_a_dictionary_finds(names: list[str], others: list[str]) -> None:
    rows = {name: row for row, name in enumerate(names)}
    index = IdIndex(string_array(names))
    for name in [*names, *others, "\ud800"]:
        assert index.get(name) == rows.get(name)
    assert index.copy() == rows


def test_what_is_put_over_it_comes_first_and_what_is_removed_is_gone() -> None:
    index = IdIndex(string_array(["a", "größe", "c"]))
    index["d"], index["a"] = 3, 7
    assert index.pop("größe", None) == 1
    assert [index.get(name) for name in ("a", "größe", "c", "d")] == [7, None, 2, 3]
    assert index.pop("größe", None) is None
    assert index.copy() == {"a": 7, "c": 2, "d": 3}
    index["größe"] = 9
    assert index.get("größe") == 9


def test_ids_that_share_a_hash_are_told_apart() -> None:
    index = IdIndex(string_array([f"node-{number}" for number in range(300)]))
    everywhere = np.arange(300, dtype=np.int32)
    index.shift = 32  # every id in the first place
    index.places, index.listed = np.array([0, 300], np.int32).data, everywhere.data
    assert index.get("node-299") == 299
    assert index.get("node-300") is None


def test_a_part_of_a_longer_array_has_rows_of_its_own() -> None:
    index = IdIndex(string_array(["a", "b", "c", "d"])[2:])
    assert [index.get(name) for name in "abcd"] == [None, None, 0, 1]


def test_readers_of_a_version_keep_its_rows() -> None:
    rows = VersionedMap(IdIndex(string_array(["a", "b"])))
    before, undo = Version(0), Undo()
    before.undo = undo
    rows.put(undo, "a", None)
    rows.put(undo, "c", 2)
    undo.next = Version(1)
    assert rows.get_all(before, ["a", "b", "c"]) == [0, 1, None]
    assert rows.get_all(undo.next, ["a", "b", "c"]) == [None, 1, 2]
    assert rows.items(before) == {"a": 0, "b": 1}


def test_few_ids_are_in_a_dictionary_and_many_are_not() -> None:
    assert isinstance(rows_of_ids(string_array(["a"])), dict)
    numbers = pa.array(np.arange(FEW + 1)).cast(pa.large_string())
    index = rows_of_ids(numbers)
    assert isinstance(index, IdIndex)
    assert [index.get(name) for name in ("0", str(FEW), str(FEW + 1))] == [0, FEW, None]
    assert index.rows.nbytes + index.starts.nbytes < 13 * len(numbers)
