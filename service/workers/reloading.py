"""Reloads all workers, one after the other."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import perf_counter

import msgspec

from service.errors import WorkerGoneError
from service.workers.messages import Done, Refused, Served
from service.workers.processes import Worker

logger = logging.getLogger(__name__)


class Reloading:
    """Runs one reload at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = False  # whether a signal's reload waits for its turn

    async def reload(self, workers: Sequence[Worker]) -> Done:
        """Makes all workers load the bundle that is in its folder.

        The first worker decides whether the bundle is accepted; a worker that restarts meanwhile
        loads the new bundle anyway.

        Args:
            workers: the serving ones.
        """
        if self.lock.locked():
            logger.warning("cannot reload: a reload is already running")
            return refusal("a reload is already running", running=True)
        async with self.lock:
            return await self.alone(workers)

    async def after_others(self, serving: Callable[[], Sequence[Worker]]) -> None:
        """Reloads because of a signal, after a running reload.

        The running one may have read the folder too early. Further signals meanwhile are covered
        by the waiting one.

        Args:
            serving: returns the serving workers when the reload starts.
        """
        if self.waiting:
            return
        self.waiting = True
        if self.lock.locked():
            logger.info("SIGHUP: a reload is running; the folder will be opened again after it")
        async with self.lock:
            self.waiting = False
            await self.alone(serving())

    async def alone(self, workers: Sequence[Worker]) -> Done:
        """Reloads under the lock."""
        started = perf_counter()
        try:
            done = await self.each(workers)
        except WorkerGoneError as error:
            done = refusal(f"a worker has ended: {error}")
        seconds = round(perf_counter() - started, 3)
        if done.refused is not None:
            logger.error("reload refused: %s", done.refused.reason)
        else:
            logger.info("all workers now serve %s", done.served.model_version)
        return msgspec.structs.replace(done, seconds=seconds)

    async def each(self, workers: Sequence[Worker]) -> Done:
        first: Done | None = None
        for worker in workers:
            first = await self.one(worker, first)
            if first.refused is not None:
                break
        return first or refusal("no worker is serving")

    async def one(self, worker: Worker, first: Done | None) -> Done:
        """Reloads one worker; restarts it if it cannot follow the first one."""
        try:
            done = await worker.channel.ask("reload", Done)
        except WorkerGoneError:
            if first is None:
                raise
            return first
        if done.refused is None and worker.loaded is not None:
            worker.loaded = msgspec.structs.replace(worker.loaded, served=done.served)
        if first is None:
            return done
        if done.refused is not None or done.served != first.served:
            reason = done.refused.reason if done.refused else "it found yet another one"
            logger.error("worker %d refused the new bundle: %s", worker.number, reason)
            worker.serving = False
            worker.channel.tell("end", False)
        return first


def refusal(reason: str, running: bool = False) -> Done:
    return Done(Served(""), "", 0.0, Refused(reason, running))
