"""Bodies that give a field twice."""

import pytest

from service.errors import InvalidFieldError
from service.http.repeats import look_through, refuse_repeats

MANY = 200_000  # fields, as fit into a body


def test_the_second_of_very_many_fields_is_found_without_comparing_each_with_each() -> None:
    """Else one body would hold the service up for hours."""
    pairs = [(str(number), None) for number in range(MANY)]
    refuse_repeats(pairs)
    with pytest.raises(InvalidFieldError, match=r"^the last: given more than once"):
        refuse_repeats([*pairs, ("the last", None), ("the last", None)])


def test_the_first_that_comes_again_is_named() -> None:
    with pytest.raises(InvalidFieldError, match=r"^b: given more than once"):
        look_through(b'{"a": {"c": 1, "d": 2}, "b": 1, "b": 2, "a": 3}')
