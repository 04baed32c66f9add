"""Whether a request can still be answered in its time, before anything is done for it."""

from contextvars import ContextVar
from time import monotonic

# Of the request that runs: the monotonic second after which its answer is not wanted.
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)

SAFETY = 1.25  # a wait is estimated from how fast batches were, which the next ones may not be


def hopeless_wait(tokens: int, tokens_per_second: float) -> float | None:
    """The estimated wait, if it is longer than the request that runs may take.

    Args:
        tokens: estimated ones of everything that goes before, and of the request's own nodes.
        tokens_per_second: how many are done lately; 0 where it is not known yet.

    Returns:
        Seconds, or None where the request may wait.
    """
    until = deadline.get()
    if until is None or not tokens_per_second:
        return None
    seconds = tokens / tokens_per_second
    return seconds if seconds * SAFETY > until - monotonic() else None
