"""A circuit breaker: a teacher that keeps failing is left alone for a while.

By hand, since one that wraps a call would count every error against the teacher: here who asked
says how it went, and a question that was given up gives its trial back.
"""

import logging
from dataclasses import dataclass
from time import monotonic

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """To ask one question; who has it must report how that went."""

    trial: bool  # the one question that tries whether the teacher is back


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
        self.trial: Permit | None = None

    @property
    def closed(self) -> bool:
        return self.failures < self.allowed_failures

    def admit(self) -> Permit | None:
        """A permit to ask, or None while the teacher is left alone."""
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
        """Counts a failure; one that was asked before it opened keeps it open no longer."""
        if self.closed or permit.trial:
            self.failures += 1
            if not self.closed:
                self.open_until = monotonic() + self.seconds
                if not permit.trial:
                    logger.warning(
                        "the teacher failed %d times in a row and is left alone for %g s",
                        self.failures,
                        self.seconds,
                    )
        self.end(permit)

    def undecided(self, permit: Permit) -> None:
        """The question may be to blame: the teacher is there, and no more was learnt."""
        if permit.trial:
            self.succeeded(permit)

    def gave_up(self, permit: Permit) -> None:
        """The asker left before an answer: nothing was learnt."""
        self.end(permit)

    def end(self, permit: Permit) -> None:
        if permit is self.trial:
            self.trial = None
