"""Whether a service is overloaded, and for how long.

In a queue that is always full every request waits behind all others, and all are answered late. It
helps to answer the newest first, which alone can still be answered in time, and to refuse early
those that were passed over: "adaptive LIFO" and "controlled delay" of B. Maurer, "Fail at Scale",
ACM Queue 13(8), 2015.
"""

from math import inf

SOON = 0.1  # seconds that everybody may be kept waiting, however fast batches are


class Overload:
    """A spell of refusals, each less than so many seconds after the one before.

    It is over at once where nothing waits any more.
    """

    def __init__(self, seconds: float) -> None:
        """Begins without any.

        Args:
            seconds: after the last refusal, until the spell is over.
        """
        self.seconds = seconds
        self.first = self.last = -inf  # refusals of the spell, monotonic seconds

    def refused(self, now: float) -> None:
        """A request had to be refused, because too much waits."""
        if not self.goes_on(now):
            self.first = now
        self.last = now

    def ended(self) -> None:
        """Nothing waits any more."""
        self.first = self.last = -inf

    def goes_on(self, now: float) -> bool:
        """Whether there are more requests than can be answered: then the newest go first."""
        return now - self.last <= self.seconds

    def lasts(self, now: float) -> bool:
        """Whether it is no burst, whose requests can all be answered when it is over."""
        return self.goes_on(now) and now - self.first > self.seconds


def longest_wait(batch_tokens: int, tokens_per_second: float) -> float:
    """Seconds after which a request that newer ones have passed will not be answered soon.

    Two full batches: the one that ran when it came, and the one in which it would have been.

    Args:
        tokens_per_second: 0 where it is not known yet.
    """
    return max(2 * batch_tokens / tokens_per_second, SOON) if tokens_per_second else inf
