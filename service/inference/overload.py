"""Detects whether the service is overloaded, and for how long.

In a queue that is always full, every request waits behind all others, and all are answered late. It
helps to answer the newest first, which can still be answered in time, and to refuse early those
that were passed over: "adaptive LIFO" and "controlled delay" of B. Maurer, "Fail at Scale", ACM
Queue 13(8), 2015.
"""

from math import inf

SOON = 0.1  # seconds that any request may wait, however fast batches are


class Overload:
    """A series of refusals, each within a number of seconds after the one before.

    It ends at once when nothing waits any more.
    """

    def __init__(self, seconds: float) -> None:
        """Starts without an overload.

        Args:
            seconds: from the last refusal to the end of the overload.
        """
        self.seconds = seconds
        self.first = self.last = -inf  # refusals of this overload, monotonic seconds

    def refused(self, now: float) -> None:
        """Records the refusal of a request because of load."""
        if not self.goes_on(now):
            self.first = now
        self.last = now

    def ended(self) -> None:
        """Ends the overload: nothing waits any more."""
        self.first = self.last = -inf

    def goes_on(self, now: float) -> bool:
        """Whether more requests arrive than can be answered; then the newest run first."""
        return now - self.last <= self.seconds

    def lasts(self, now: float) -> bool:
        """Whether it is longer than a burst, whose requests can all be answered afterwards."""
        return self.goes_on(now) and now - self.first > self.seconds


def longest_wait(batch_tokens: int, tokens_per_second: float) -> float:
    """Seconds after which a request that newer ones have passed will not be answered soon.

    Two full batches: the one that ran when it arrived, and the one it would have been in.

    Args:
        tokens_per_second: 0 if unknown.
    """
    return max(2 * batch_tokens / tokens_per_second, SOON) if tokens_per_second else inf
