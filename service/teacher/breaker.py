"""A circuit breaker: a teacher that keeps failing is left alone for a while."""

from time import monotonic


class Breaker:
    """Opens after some failures in a row; later lets one question through to try."""

    def __init__(self, failures: int, seconds: float) -> None:
        """Starts closed.

        Args:
            failures: in a row, that open it.
            seconds: that it stays open.
        """
        self.allowed_failures = failures
        self.seconds = seconds
        self.failures = 0
        self.open_until = 0.0  # monotonic
        self.trying = False

    @property
    def closed(self) -> bool:
        return self.failures < self.allowed_failures

    def admit(self) -> bool:
        """Whether a question may be asked; who gets True must report how it went."""
        if self.closed:
            return True
        if self.trying or monotonic() < self.open_until:
            return False
        self.trying = True
        return True

    def succeeded(self) -> None:
        self.failures = 0
        self.trying = False

    def failed(self) -> None:
        self.failures += 1
        self.trying = False
        self.open_until = monotonic() + self.seconds

    def gave_up(self) -> None:
        """The asker left before an answer: nothing was learnt."""
        self.trying = False
