"""Moving averages, for example of the time of an answer."""

SMOOTHING = 0.2  # weight of the newest value


def running_mean(known: float, newest: float) -> float:
    """Updates an exponential moving average with one value.

    Args:
        known: the average so far; 0 before the first value.
    """
    return known + SMOOTHING * (newest - known) if known else newest
