"""How a row becomes a question; no column is ignored silently."""

import pytest

from understudy.client.models import Node
from understudy.graph.errors import BadInputError
from understudy.predict.columns import Columns, QueryFields

FOUND = QueryFields("", (), "")


def test_neighbors_without_a_text_make_a_bad_row() -> None:
    columns = Columns("in.csv", FOUND)
    names = ("id", "text", "neighbors")
    columns.check(names)
    assert columns.node(names, ("a", "http", "b;c")) == Node("a", "http", ("b", "c"))
    for nothing in (None, "", "[]"):
        assert columns.node(names, ("a", "", nothing)) == Node("a")
    with pytest.raises(BadInputError, match="neighbours without a text: a stored node has its own"):
        columns.node(names, ("a", "", "b;c"))
    unread = Columns("in.csv", QueryFields("", (), "none"))
    assert unread.node(names, ("a", "", "b;c")) == Node("a")


def test_neighbors_without_a_text_make_a_bad_row_of_json() -> None:
    columns = Columns("in.jsonl", FOUND)
    assert columns.node(("text", "neighbors"), ("http", ["b"])) == Node(None, "http", ("b",))
    assert columns.node(("id", "neighbors"), ("a", [])) == Node("a")
    with pytest.raises(BadInputError, match="neighbours without a text"):
        columns.node(("id", "neighbors"), ("a", ["b"]))


def test_a_table_of_ids_leaves_neighbors_unread_unless_they_are_named() -> None:
    names = ("id", "neighbors")
    columns = Columns("in.csv", FOUND)
    columns.check(names)
    assert columns.node(names, ("a", "b;c")) == Node("a")
    assert "not read: neighbors" in "\n".join(columns.notes(names))
    named = Columns("in.csv", QueryFields("", (), "neighbors"))
    with pytest.raises(BadInputError, match="--neighbors-field has no effect: there is no column"):
        named.check(names)


def test_two_columns_that_mean_the_same_are_refused_of_a_record_alone() -> None:
    columns = Columns("in.jsonl", QueryFields())
    assert columns.node(("id",), ("oak",)).id == "oak"
    with pytest.raises(BadInputError, match="two columns 'id' and 'ID', which mean the same"):
        columns.node(("id", "ID"), ("oak", "elm"))
    assert Columns("in.jsonl", QueryFields("ID")).node(("id", "ID"), ("oak", "elm")).id == "elm"


def test_a_word_for_nothing_is_an_id_as_in_an_import() -> None:
    columns = Columns("in.csv", FOUND)
    for name in ("nan", "null", "NA"):
        assert columns.node(("id", "text"), (name, "")) == Node(name)
        assert columns.node(("id", "text"), (name, name)) == Node(name)
    for blank in (None, "", "  "):
        with pytest.raises(BadInputError, match="neither an id nor a text"):
            columns.node(("id", "text"), (blank, "nan"))


def test_a_text_of_which_nothing_can_be_seen_is_none() -> None:
    columns = Columns("in.csv", FOUND)
    assert columns.node(("id", "text"), ("a", "\u200b")) == Node("a")
    with pytest.raises(BadInputError, match="neither an id nor a text"):
        columns.node(("text",), ("\ufeff\u200b",))


def test_texts_without_a_column_of_ids_are_told_beside_columns_that_may_hold_them() -> None:
    def told(fields: QueryFields, *names: str) -> str:
        return "\n".join(Columns("in.csv", fields).notes(names))

    assert "name one with --id-field, or none" in told(FOUND, "Nr", "text")
    assert "--id-field" not in told(FOUND, "text")
    assert "--id-field" not in told(QueryFields("Nr", (), ""), "Nr", "text")
    assert "--id-field" not in told(QueryFields("none", (), ""), "Nr", "text")
