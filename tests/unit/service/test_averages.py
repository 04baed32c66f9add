"""Moving averages."""

from service.averages import running_mean


def test_the_first_value_is_the_mean_and_newer_ones_move_it() -> None:
    assert running_mean(0.0, 5.0) == 5.0
    assert running_mean(5.0, 10.0) == 6.0
    mean = 100.0
    for _ in range(60):
        mean = running_mean(mean, 2.0)
    assert 2.0 < mean < 2.001
