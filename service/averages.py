"""Moving averages, such as of the time that an answer takes."""

SMOOTHING = 0.2  # weight of the newest value


def running_mean(known: float, newest: float) -> float:
    """The exponential moving average after one more value.

    Args:
        known: the average so far; 0 before the first value.
    """
    return known + SMOOTHING * (newest - known) if known else newest
