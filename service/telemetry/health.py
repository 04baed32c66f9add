"""Readiness by a real inference that passed lately."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from understudy.engine.errors import InferenceError, NotReadyError

logger = logging.getLogger(__name__)


class Health:
    """Probes on demand, one probe at a time, and remembers a success for a while."""

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
        """Starts as never probed.

        Args:
            probe: runs a real inference; raises InferenceError.
            lag: seconds for which the graph may be behind the log.
            max_lag_seconds: more are not ready; None: any may be.
            follows: whether the log can be followed, or is away from everybody.
            damage: what is wrong with the files that answers come from; empty: nothing is.
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
        self.passed = False  # the last probe
        self.ending = False

    @property
    def ready(self) -> bool:
        """Whether the last probe passed, and nothing else was found since."""
        return self.passed and not self.problem()

    def problem(self) -> str:
        """Why it is not ready whatever a probe would say; empty where it may be."""
        if self.ending:
            return "the service is ending"
        if damage := self.damage():
            return damage
        if self.max_lag_seconds is not None and (seconds := self.lag()) > self.max_lag_seconds:
            return f"the graph is {seconds:.1f} s behind the log"
        if not self.follows():
            return "the graph's changes cannot be followed; see the log"
        return ""

    async def check(self) -> None:
        """Returns when an inference passed lately.

        Raises:
            NotReadyError: it failed, gave no answer in time, or see `problem`. A probe that hangs
                is waited for by later checks, not started again.
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
            raise NotReadyError("an inference gave no answer in time") from error
        except InferenceError as error:
            logger.error("the probe failed: %s", error)
            raise NotReadyError("an inference failed; see the log") from error
        self.passed = True
        self.passed_at = monotonic()

    def doubt(self) -> None:
        """After a failure elsewhere: the next check probes, whatever passed before."""
        self.passed_at = float("-inf")
