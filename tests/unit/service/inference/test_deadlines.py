"""A request's time counts from its first byte."""

import pytest

from service.errors import InvalidFieldError
from service.http.exchange import Exchange
from service.inference.deadlines import seconds_left


class Asked(Exchange):
    """An exchange that has taken some seconds already, with a wish."""

    seconds = 0.0

    def __init__(self, spent: float, wish: str | None) -> None:
        self.seconds = spent
        self.headers = {} if wish is None else {b"x-timeout-seconds": wish.encode()}


@pytest.mark.parametrize(
    ("spent", "wish", "left"),
    [(0.0, None, 30.0), (12.0, None, 18.0), (12.0, "20", 8.0), (12.0, "99", 18.0), (40.0, None, 0)],
)
def test_what_is_spent_is_gone(spent: float, wish: str | None, left: float) -> None:
    assert seconds_left(Asked(spent, wish), 30.0) == left


@pytest.mark.parametrize("wish", ["0", "-1", "nan", "soon"])
def test_a_wish_is_a_time(wish: str) -> None:
    with pytest.raises(InvalidFieldError, match="x-timeout-seconds"):
        seconds_left(Asked(0.0, wish), 30.0)
