"""Tells a client that reads its answer slowly from one that does not read it."""

SENT_BYTES = 64 * 2**10  # that a client has to read within `send_seconds`
# Between the marks of a transport's buffer: above the upper one nothing more is written into it,
# until it falls below the lower one.
DRAINED_BYTES = 48 * 2**10


class Sending:
    """What the client of a connection took of the bytes that wait for it.

    Attributes:
        drained: how often the buffer fell below its lower mark since the last look.
    """

    def __init__(self) -> None:
        self.drained = 0
        self.begin(None)

    def begin(self, now: float | None) -> None:
        """Starts a period; None: nothing waits."""
        self.since, self.taken, self.before = now, 0, 0

    def is_slow(self, now: float, size: int, seconds: float) -> bool:
        """Whether the client took too little in a period that ends now.

        Args:
            now: seconds of any clock.
            size: bytes that wait.
            seconds: length of a period.
        """
        if self.since is None:
            self.begin(now)
        elif self.drained:  # and was filled again: the difference of its sizes says nothing
            self.taken += self.drained * DRAINED_BYTES
        else:
            self.taken += max(self.before - size, 0)
        self.drained, self.before = 0, size
        assert self.since is not None
        if now - self.since <= seconds:
            return False
        taken = self.taken
        self.since, self.taken = now, 0
        return taken < SENT_BYTES
