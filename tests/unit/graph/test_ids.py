"""The rule for node ids."""

import string
from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph import BadInputError
from understudy.graph.building.builder import Built
from understudy.graph.ids import LONGEST_ID, first_unusable, id_problem

GOOD = [
    "a",
    "a b",
    "a/b",
    "a/neighbors",
    ".",
    "..",
    "%41",
    "ü",
    "日本",
    "👩\u200d👩",
    "क्\u200dष",
    "\u200da\u200b",
    "\ufffd",
    "a" * 2_048,
]
BAD = [
    "",
    " ",
    "a ",
    "\ta",
    "a\u3000",
    "a\nb",
    "a\rb",
    "a\x00",
    "a\x1bb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "\u200b",
    "\u200c\u200d",
    "\u2060 \u2060",
    "\u3164",
    "\u2800",
    "\ufe0f",
    "\U000e0041",
    "\ufeff",
    "\ufeffa",
    "a\ufeffb",
]
LONG = ["a" * 2_049, "ü" * 1_025, "日" * 683]


@pytest.mark.parametrize("node_id", GOOD)
def test_an_id_may_be(node_id: str) -> None:
    assert id_problem(node_id) is None


@pytest.mark.parametrize("node_id", [*BAD, *LONG, "\ud800", "a\udfffb"])
def test_an_id_may_not_be(node_id: str) -> None:
    problem = id_problem(node_id)
    assert problem
    assert problem.encode()  # it can be sent
    assert problem.isprintable()


@given(st.lists(st.text(st.characters(codec="utf-8")) | st.text(string.printable, max_size=3)))
def test_many_at_once_are_held_to_the_same_rule(ids: list[str]) -> None:
    refused = [position for position, node_id in enumerate(ids) if id_problem(node_id)]
    found = first_unusable(pa.array(ids, pa.large_string()))
    assert found == (refused[0] if refused else None)


def test_the_longest_id_is_counted_in_bytes() -> None:
    for node_id in LONG:
        assert len(node_id.encode()) > LONGEST_ID
        assert first_unusable(pa.array(["a", node_id], pa.large_string())) == 1


@pytest.mark.parametrize("node_id", ["a\x1bb", "a\u2028b", "a" * 2_049, "\u200b", "a\ufeff"])
def test_an_import_refuses_it_with_its_line(
    import_text: Callable[..., Built], node_id: str
) -> None:
    with pytest.raises(BadInputError, match=r"nodes\.csv:3: the node's id (contains|has)"):
        import_text(f"id,text\nb,two\n{node_id},one\n", "source,target\n")
