"""A circuit breaker: a teacher that fails repeatedly is not asked for a while.

Our own, because a breaker around the call would count every error against the teacher: here the
caller reports the outcome, and a cancelled question returns its trial.
"""

import logging
from dataclasses import dataclass
from time import monotonic

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """Permission for one question; its holder must report the outcome."""

    trial: bool  # whether this question tests if the teacher is back


class Breaker:
    """Opens after several failures in a row; later admits one question as a trial."""

    def __init__(self, failures: int, seconds: float) -> None:
        """Starts closed.

        Args:
            failures: number of failures in a row that open it.
            seconds: that it stays open.
        """
        self.allowed_failures = failures
        self.seconds = seconds
        self.failures = 0
        self.open_until = 0.0  # monotonic
        self.trial: Permit | None = None

    @property
    def closed(self) -> bool:
        return self.failures < self.allowed_failures

    def admit(self) -> Permit | None:
        """Returns a permit, or None while the teacher must not be asked."""
        if self.closed:
            return Permit(trial=False)
        if self.trial is not None or monotonic() < self.open_until:
            return None
        self.trial = Permit(trial=True)
        return self.trial

    def succeeded(self, permit: Permit) -> None:
        if not self.closed:
            logger.warning("the teacher answers again")
        self.failures = 0
        self.end(permit)

    def failed(self, permit: Permit) -> None:
        """Counts a failure; a question from before the opening does not prolong it."""
        if self.closed or permit.trial:
            self.failures += 1
            if not self.closed:
                self.open_until = monotonic() + self.seconds
                if not permit.trial:
                    logger.warning(
                        "the teacher failed %d times in a row and is not asked for %g s",
                        self.failures,
                        self.seconds,
                    )
        self.end(permit)

    def undecided(self, permit: Permit) -> None:
        """Reports that the question may be the cause; the teacher itself responded."""
        if permit.trial:
            self.succeeded(permit)

    def gave_up(self, permit: Permit) -> None:
        """Reports that the caller left before an answer: nothing is known."""
        self.end(permit)

    def end(self, permit: Permit) -> None:
        if permit is self.trial:
            self.trial = None
