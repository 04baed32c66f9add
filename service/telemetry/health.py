"""Readiness, decided by a recent real inference."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from understudy.engine.errors import InferenceError, NotReadyError

logger = logging.getLogger(__name__)


class Health:
    """Probes on demand, one probe at a time, and remembers success for a while."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        valid_seconds: float,
        timeout_seconds: float,
        lag: Callable[[], float] = lambda: 0.0,
        max_lag_seconds: float | None = None,
        follows: Callable[[], bool] = lambda: True,
        damage: Callable[[], str] = str,
    ) -> None:
        """Starts without a probe.

        Args:
            probe: runs a real inference; raises InferenceError.
            lag: gives the seconds that the graph may be behind the log.
            max_lag_seconds: largest lag that counts as ready; None: any.
            follows: whether the log can be followed, or is unreachable for every process.
            damage: what is wrong with the served files; empty if nothing is.
        """
        self.probe = probe
        self.valid_seconds = valid_seconds
        self.timeout_seconds = timeout_seconds
        self.lag = lag
        self.max_lag_seconds = max_lag_seconds
        self.follows = follows
        self.damage = damage
        self.passed_at = float("-inf")
        self.running: asyncio.Future[None] | None = None
        self.passed = False  # whether the last probe passed
        self.ending = False

    @property
    def ready(self) -> bool:
        """Whether the last probe passed, and no problem was found since."""
        return self.passed and not self.problem()

    def problem(self) -> str:
        """Explains why it is not ready, regardless of probes; empty if there is no reason."""
        if self.ending:
            return "the service is shutting down"
        if damage := self.damage():
            return damage
        if self.max_lag_seconds is not None and (seconds := self.lag()) > self.max_lag_seconds:
            return f"the graph is {seconds:.1f} s behind the log"
        if not self.follows():
            return "the graph's changes cannot be followed; see the log"
        return ""

    async def check(self) -> None:
        """Returns if an inference passed recently; otherwise runs one.

        Raises:
            NotReadyError: the probe failed or timed out, or see `problem`. Later checks wait for a
                hanging probe instead of starting another one.
        """
        if problem := self.problem():
            raise NotReadyError(problem)
        if monotonic() - self.passed_at < self.valid_seconds:
            return
        if self.running is None or self.running.done():
            self.running = asyncio.ensure_future(self.probe())
        self.passed = False
        try:
            await asyncio.wait_for(asyncio.shield(self.running), self.timeout_seconds)
        except TimeoutError as error:
            raise NotReadyError("an inference did not finish in time") from error
        except InferenceError as error:
            logger.error("the probe failed: %s", error)
            raise NotReadyError("an inference failed; see the log") from error
        self.passed = True
        self.passed_at = monotonic()

    def doubt(self) -> None:
        """Forgets the last success after a failure elsewhere, so that the next check probes."""
        self.passed_at = float("-inf")
