"""The served engine: changes of its graph, and its replacement by another bundle."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

from service.errors import (
    DeadlineError,
    InvalidFieldError,
    OverloadedError,
    ReloadError,
    ReloadRunningError,
    without_places,
)
from service.telemetry.metrics import Metrics
from understudy.bundle import BundleError
from understudy.engine.engine import Engine
from understudy.engine.errors import (
    BundleForeignError,
    ChangeUnsureError,
    EngineError,
    NotReadyError,
)
from understudy.engine.updates.tickets import Applied
from understudy.graph.errors import GraphError
from understudy.graph.mutations import Mutation

logger = logging.getLogger(__name__)
# Errors whose message the caller may see, without the folders in it.
SHOWN = ReloadError, BundleError, BundleForeignError, NotReadyError
MAX_WAITING = 256  # changes; more are refused
LONGEST_WAIT = 86_400.0  # seconds; clocks cannot handle every number that a client may send


class Slot:
    """Holds the engine that resolves new requests; a reload replaces it.

    Running requests keep the engine that they started with.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine


@dataclass(frozen=True, slots=True)
class Reload:
    engine: Engine
    previous_version: str
    seconds: float


class Reloader:
    """Opens a bundle on a thread, brings it up to the graph's version, and puts it into the slot.

    Args:
        open_engine: opens the bundle again, given the served engine; None if the service was not
            started from a folder.
        attach: prepares an engine for service while another one is served.
    """

    def __init__(
        self,
        slot: Slot,
        open_engine: Callable[[Engine], Engine] | None,
        attach: Callable[[Engine], None],
        metrics: Metrics,
    ) -> None:
        self.slot = slot
        self.open_engine = open_engine
        self.attach = attach
        self.metrics = metrics
        self.lock = asyncio.Lock()  # held by the running reload
        self.waiting = False  # whether a signal's reload waits for its turn

    async def reload(self) -> Reload:
        """Replaces the bundle; running requests finish with the one that they started with.

        Changes of the graph continue: the new engine has all of them when it takes over.

        Raises:
            ReloadError: the new bundle cannot be served; the old one stays.
            ReloadRunningError: another reload is running.
        """
        if self.lock.locked():
            raise ReloadRunningError("a reload is running already")
        async with self.lock:
            return await self.reload_alone()

    async def reload_alone(self) -> Reload:
        """Reloads under the lock."""
        started = perf_counter()
        try:
            engine, old = await self.swap()
        except Exception as error:
            self.metrics.reloads.add("failed")
            expected = isinstance(error, BundleError | GraphError | EngineError)
            # Only the message: a kept log record would keep both engines in memory.
            logger.error("reload refused: %s", str(error), exc_info=not expected)
            reason = without_places(str(error)) if isinstance(error, SHOWN) else "see the log"
            raise ReloadError(f"the old bundle stays in service: {reason}") from error
        self.metrics.reloads.add("done")
        seconds = perf_counter() - started
        logger.info("serving %s instead of %s", engine.model_version, old.model_version)
        await asyncio.to_thread(old.close)  # reading it remains possible
        return Reload(engine, old.model_version, round(seconds, 3))

    async def swap(self) -> tuple[Engine, Engine]:
        """Puts a new engine into the slot; returns it and the old one."""
        if self.open_engine is None:
            raise ReloadError("this service was not started from a folder")
        old = self.slot.engine
        engine = await asyncio.to_thread(self.open_engine, old)

        def swap() -> None:
            self.slot.engine = engine

        try:
            self.attach(engine)
            await asyncio.to_thread(engine.take_over, old, swap)
        except Exception:
            engine.close()
            raise
        return engine, old

    def reload_in_background(self) -> None:
        """Reloads because of a signal; errors are only logged.

        It waits for a running reload, which may have read the folder before. Further signals
        meanwhile are covered by the waiting one.
        """
        if self.waiting:
            return
        self.waiting = True
        if self.lock.locked():
            logger.info("SIGHUP: a reload is running; the folder will be opened again after it")
        self.task = asyncio.get_running_loop().create_task(self.reload_quietly())

    async def reload_quietly(self) -> None:
        async with self.lock:
            self.waiting = False
            with suppress(ReloadError):  # logged already
                await self.reload_alone()


class Changes:
    """Limits the number of waiting changes.

    Args:
        max_mutations: of one request.
    """

    def __init__(self, slot: Slot, max_mutations: int, metrics: Metrics) -> None:
        self.slot = slot
        self.max_mutations = max_mutations
        self.metrics = metrics
        self.waiting = 0

    async def apply(
        self, mutations: Sequence[Mutation], key: str | None, seconds: float | None = None
    ) -> Applied:
        """Passes a change to the engine's writer, which carries out together what waits.

        Args:
            key: idempotency key.
            seconds: after which the answer is no longer wanted; None: no limit.

        Raises:
            InvalidFieldError: more mutations than allowed.
            OverloadedError: too many changes wait.
            DeadlineError: its turn did not come in time; nothing was done.
            ChangeUnsureError: it had started by then, and continues.
            See `Engine.apply` for others.
        """
        self.check_number(len(mutations))
        if self.waiting >= MAX_WAITING:
            raise OverloadedError("too many changes of the graph are waiting", 1.0)
        outcome = self.slot.engine.submit(mutations, key)
        self.waiting += 1
        try:
            async with asyncio.timeout(None if seconds is None else min(seconds, LONGEST_WAIT)):
                applied = await asyncio.wrap_future(outcome)
        except TimeoutError as error:
            assert seconds is not None
            if outcome.cancelled():
                raise DeadlineError(
                    seconds, "the change was not begun, so nothing was done; send it again"
                ) from error
            raise ChangeUnsureError(
                f"the change has started but was not done within {seconds:.3g} s; send it again "
                "with the same idempotency key to learn its result"
            ) from error
        finally:
            self.waiting -= 1
        made = applied.changed and not applied.repeated
        self.metrics.mutations.add(amount=len(mutations) if made else 0)
        return applied

    def check_number(self, mutations: int) -> None:
        if mutations > self.max_mutations:
            raise InvalidFieldError(
                "mutations", f"at most {self.max_mutations:,} per request are allowed"
            )
