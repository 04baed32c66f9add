"""Waiting for a version of the graph."""

from understudy.engine.updates.arrivals import Arrivals


def test_a_version_wakes_those_who_wait_for_it_or_an_earlier_one() -> None:
    arrivals = Arrivals()
    first, second, third = (arrivals.enter(version) for version in (3, 5, 6))
    arrivals.reached(5)
    assert first.done()
    assert second.done()
    assert not third.done()


def test_who_gives_up_is_forgotten() -> None:
    arrivals = Arrivals()
    assert arrivals.enter(3).cancel()
    assert not arrivals.waiting
    arrivals.reached(3)


def test_the_end_wakes_all_and_lets_nobody_wait() -> None:
    arrivals = Arrivals()
    waiting = arrivals.enter(3)
    arrivals.release()
    assert waiting.done()
    assert arrivals.enter(4).done()
