"""Means of what changes slowly, such as the time that an answer takes."""

SMOOTHING = 0.2  # weight of the newest value


def running_mean(known: float, newest: float) -> float:
    """The mean with one more value, of which older ones count less and less.

    Args:
        known: so far; 0 where nothing is.
    """
    return known + SMOOTHING * (newest - known) if known else newest
