"""A request's time counts from its first byte."""

from time import monotonic

import pytest

from service.errors import InvalidFieldError
from service.http.exchange import Exchange
from service.inference.deadlines import deadline, hopeless_wait, seconds_left, spared


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


@pytest.mark.parametrize(("left", "expected"), [(2.0, 1.8), (100.0, 99.0), (-3.0, 0.0)])
def test_some_time_is_kept_for_an_answer_without_the_late_part(
    left: float, expected: float
) -> None:
    token = deadline.set(monotonic() + left)
    try:
        assert spared() == pytest.approx(expected, abs=0.2)
    finally:
        deadline.reset(token)
    assert spared() is None


def test_a_wait_that_is_surely_too_long_is_hopeless() -> None:
    assert hopeless_wait(1_000_000, 1.0) is None  # no request waits
    token = deadline.set(monotonic() + 100)
    try:
        assert hopeless_wait(900, 10.0) == 90.0  # nearly as long as is left
        assert hopeless_wait(700, 10.0) is None
        assert hopeless_wait(900, 0.0) is None  # the speed is unknown
    finally:
        deadline.reset(token)
