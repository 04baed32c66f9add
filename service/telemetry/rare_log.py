"""Warnings about something that fails again and again: told at once, then seldom."""

import logging
from time import monotonic

SECONDS = 60.0  # between two lines of one kind
KINDS = 100  # that are told apart; a bound, since a kind may hold another's words


class RareLog:
    """Logs the first warning of a kind, and then one a while that counts those between."""

    def __init__(self, logger: logging.Logger, seconds: float = SECONDS) -> None:
        self.logger = logger
        self.seconds = seconds
        self.told: dict[str, float] = {}  # kind → monotonic
        self.untold: dict[str, int] = {}

    def warning(self, kind: str, message: str, *arguments: object) -> None:
        """Logs, unless one of that kind was logged a short while ago."""
        now = monotonic()
        if kind in self.told and now - self.told[kind] < self.seconds:
            self.untold[kind] = self.untold.get(kind, 0) + 1
            return
        if kind not in self.told and len(self.told) >= KINDS:
            self.told.clear()
            self.untold.clear()
        self.told[kind] = now
        untold = self.untold.pop(kind, 0)
        more = f" (and {untold:,} more like it since the last line)" if untold else ""
        self.logger.warning(message + more.replace("%", "%%"), *arguments)
