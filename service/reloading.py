"""Another bundle in place of the one that is served, without a request that notices."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

from bundle import BundleError
from graph.errors import GraphError
from service.engine import Engine
from service.errors import ReloadError, ReloadRunningError, ServiceError
from service.metrics import Metrics
from service.slot import Slot

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reload:
    engine: Engine
    previous_version: str
    seconds: float


class Reloader:
    """Opens, verifies and warms a bundle aside, on a thread, then puts it into the slot."""

    def __init__(
        self,
        slot: Slot,
        open_engine: Callable[[], Engine] | None,
        attach: Callable[[Engine], None],
        metrics: Metrics,
    ) -> None:
        """Assembles.

        Args:
            open_engine: opens the bundle from where it was opened first; None where it was not
                opened from a folder.
            attach: prepares an engine for service.
        """
        self.slot = slot
        self.open_engine = open_engine
        self.attach = attach
        self.metrics = metrics
        self.running = False

    async def reload(self) -> Reload:
        """Swaps the bundle; requests that run end with the one that they began with.

        Raises:
            ReloadError: the new bundle cannot be served; the old one goes on.
            ReloadRunningError: another reload is running.
        """
        if self.running:
            raise ReloadRunningError("a reload is running already")
        self.running = True
        started = perf_counter()
        try:
            engine = await self.open()
        except (BundleError, GraphError, ServiceError) as error:
            self.metrics.reloads.add("failed")
            logger.error("reload refused: %s", error)
            reason = str(error) if isinstance(error, ReloadError) else "see the log"
            raise ReloadError(f"the old bundle goes on: {reason}") from error
        finally:
            self.running = False
        previous = self.slot.engine
        self.slot.engine = engine
        self.metrics.reloads.add("done")
        seconds = perf_counter() - started
        logger.info("serving %s instead of %s", engine.model_version, previous.model_version)
        return Reload(engine, previous.model_version, round(seconds, 3))

    async def open(self) -> Engine:
        if self.open_engine is None:
            raise ReloadError("this service was not started from a folder")
        old = self.slot.engine
        if old.durable:
            raise ReloadError("the data folder belongs to the bundle that is served; start anew")
        engine = await asyncio.to_thread(self.open_engine)
        if old.state.version:
            raise ReloadError(
                f"the graph was changed {old.state.version:,} times since the bundle was opened, "
                "and a new bundle does not have these changes"
            )
        self.attach(engine)
        return engine

    def reload_in_background(self) -> None:
        """For a signal: whatever happens is in the log."""
        self.task = asyncio.get_running_loop().create_task(self.reload_quietly())

    async def reload_quietly(self) -> None:
        with suppress(ReloadError, ReloadRunningError):  # logged already
            await self.reload()
