"""What a record asks, by the names of its columns."""

import pytest

from understudy.graph.errors import BadInputError
from understudy.predict.columns import AskedFields, Columns


def test_two_columns_that_mean_the_same_are_refused_of_a_record_alone() -> None:
    columns = Columns("in.jsonl", AskedFields())
    assert columns.node(("id",), ("oak",)).id == "oak"
    with pytest.raises(BadInputError, match="two columns 'id' and 'ID', which mean the same"):
        columns.node(("id", "ID"), ("oak", "elm"))
    assert Columns("in.jsonl", AskedFields("ID")).node(("id", "ID"), ("oak", "elm")).id == "elm"
