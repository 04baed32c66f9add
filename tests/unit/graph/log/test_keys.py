"""Idempotency keys: which ones are known depends on the records, not on their groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph.log import keys as module
from understudy.graph.log.keys import KeyedBatch, Keys


def known(number: int) -> KeyedBatch:
    return KeyedBatch(number, bytes([number]))


def filled(names: str) -> Keys:
    keys = Keys()
    for number, name in enumerate(names, start=1):
        if keys.find(name) is None:
            keys.add(name, known(number))
    return keys


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS_KEPT", 3)


def test_the_oldest_are_forgotten() -> None:
    keys = filled("abcd")
    assert keys.find("a") is None
    assert keys.find("b") == known(2)
    assert keys.find(None) is None


def test_keys_up_to_a_number_are_listed_in_order() -> None:
    assert [row[:2] for row in filled("abc").rows(2)] == [("a", 1), ("b", 2)]


def test_a_copy_goes_its_own_way() -> None:
    keys = filled("ab")
    other = keys.copy()
    other.add("c", known(3))
    assert (keys.find("c"), other.find("c")) == (None, known(3))
    assert other.find("a") == known(1)
    other.take_back()
    other.take_back()  # there is nothing left to take back
    assert list(other.batches) == ["a", "b"]


@pytest.mark.usefixtures("few")
@given(st.text("abcdefgh", max_size=12), st.text("abcdefgh", max_size=12))
def test_what_is_taken_back_never_was(before: str, after: str) -> None:
    keys = filled(before)
    expected = list(keys.batches.items())
    keys.begin()
    for number, name in enumerate(after, start=100):
        if keys.find(name) is None:
            keys.add(name, known(number))
    keys.take_back()
    assert list(keys.batches.items()) == expected
