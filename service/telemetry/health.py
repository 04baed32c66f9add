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
        self.began_at = float("-inf")  # of the last probe, monotonic
        self.running: asyncio.Task[bool] | None = None
        self.passed = False  # whether the last probe that ended passed
        self.ending = False

    @property
    def ready(self) -> bool:
        """Whether the last probe passed, none hangs, and no problem was found since."""
        return self.passed and not self.hangs() and not self.problem()

    def hangs(self) -> bool:
        """Whether a probe runs for longer than it may."""
        if self.running is None or self.running.done():
            return False
        return monotonic() - self.began_at > self.timeout_seconds

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
        if self.passed_lately():
            return
        try:
            passed = await asyncio.wait_for(asyncio.shield(self.start()), self.timeout_seconds)
        except TimeoutError as error:
            raise NotReadyError("an inference did not finish in time") from error
        if not passed:
            raise NotReadyError("an inference failed; see the log")

    def look(self) -> None:
        """Starts a probe if none passed recently; `ready` shows the result once it has ended.

        So the metrics tell of failures although nobody asks whether the service is ready.
        """
        if not self.problem() and not self.passed_lately():
            self.start()

    def passed_lately(self) -> bool:
        return monotonic() - self.passed_at < self.valid_seconds

    def start(self) -> asyncio.Task[bool]:
        """Returns the running probe, or starts one; it gives whether the inference passed."""
        if self.running is None or self.running.done():
            self.began_at = monotonic()
            self.running = asyncio.create_task(self.run_probe())
        return self.running

    async def run_probe(self) -> bool:
        try:
            await self.probe()
        except InferenceError as error:
            self.passed = False
            logger.error("the probe failed: %s", error)
            return False
        except BaseException:
            self.passed = False
            raise
        self.passed, self.passed_at = True, monotonic()
        return True

    def doubt(self) -> None:
        """Forgets the last success after a failure elsewhere, so that the next check probes."""
        self.passed_at = float("-inf")
