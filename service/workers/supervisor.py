"""Keeps a number of workers alive, and makes them start, reload and end together.

It serves nothing itself. It is one process with one thread, so that it can fork workers that share
its imported modules.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic

import msgspec
from msgspec import Raw

from service.errors import WorkerGoneError, WorkersError
from service.telemetry.figures import Figures, added
from service.workers.channel import Channel
from service.workers.messages import Done, Loaded, Scraped
from service.workers.processes import Worker, ended, fork, words
from service.workers.reloading import Reloading
from service.workers.worker import Plan, run_worker

logger = logging.getLogger(__name__)
STARTS = 3  # failed starts of one worker, before the service ends
LEAST_PAUSE, LONGEST_PAUSE = 0.1, 30.0  # seconds before a worker is restarted
STEADY_SECONDS = 60.0  # after this long a worker's end counts as the first failure again
FIGURES_SECONDS = 2.0  # time limit for a worker's metrics
PAUSE_SECONDS, PATIENCE_SECONDS = 10.0, 60.0  # between checks of a worker; until it hangs
SPARE_SECONDS = 15.0  # added to grace and drain, before an ending worker is killed


class Supervisor:
    """Manages all workers of one service."""

    def __init__(self, plan: Plan, announce: Callable[[Loaded, str | None], None]) -> None:
        """Prepares; nothing is started before `run`.

        Args:
            announce: called once all workers serve, with one worker's report, and the address of
                gRPC, if any.
        """
        self.plan = plan
        self.announce = announce
        self.number = plan.settings.workers
        self.workers: dict[int, Worker] = {}
        self.all_loaded = asyncio.Event()
        self.announced = False
        self.ending = asyncio.Event()
        self.failure: WorkersError | None = None
        # A log that ends with the service belongs to a bundle: what it holds would be lost.
        self.reloading = Reloading()
        self.gone = Figures()
        self.restarts = 0

    async def run(self) -> None:
        """Returns when all workers have ended as requested.

        Raises:
            WorkersError: they cannot be started.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.end)
        loop.add_signal_handler(signal.SIGINT, partial(self.end, now=True))
        loop.add_signal_handler(signal.SIGHUP, self.reload_in_background)
        await asyncio.gather(*(self.keep(n) for n in range(1, self.number + 1)))
        if self.failure is not None:
            raise self.failure

    async def keep(self, number: int) -> None:
        """Keeps one worker running until the service ends."""
        failures = 0
        while not self.ending.is_set():
            worker = self.start(number)
            status = await self.follow(worker)
            if self.ending.is_set():
                return
            steady = worker.serving and monotonic() - worker.started > STEADY_SECONDS
            failures = 1 if steady else failures + 1
            why = worker.reason or f"it ended {words(status)}"
            logger.error("worker %d ended: %s", number, why)
            if self.hopeless(worker, failures):
                self.fail(f"worker {number} cannot serve: {why}")
                return
            with suppress(TimeoutError):
                pause = min(LEAST_PAUSE * 4 ** (failures - 1), LONGEST_PAUSE)
                await asyncio.wait_for(self.ending.wait(), pause)
            self.restarts += 1

    def hopeless(self, worker: Worker, failures: int) -> bool:
        """Whether a restart is pointless: a reason at the first start does not go away."""
        if self.serving():
            return False
        return failures >= STARTS or bool(worker.reason and not self.announced)

    def start(self, number: int) -> Worker:
        descriptors = (worker.channel.end.fileno() for worker in self.workers.values())
        foreign = [descriptor for descriptor in descriptors if descriptor >= 0]
        process, end = fork(partial(run_worker, self.plan, number), foreign)
        worker = Worker(number, process, Channel(end, lambda w, b: self.answer(worker, w, b)))
        self.workers[number] = worker
        return worker

    async def follow(self, worker: Worker) -> int:
        """Communicates with a worker until its end; returns its exit status."""
        listening = asyncio.create_task(self.listen(worker))
        watching = asyncio.create_task(self.watch(worker))
        status = await ended(worker.process)
        watching.cancel()
        await listening  # reads its last messages
        del self.workers[worker.number]
        self.gone = added(self.gone, worker.figures)
        return status

    async def listen(self, worker: Worker) -> None:
        await worker.channel.listen(await worker.channel.open())

    async def watch(
        self, worker: Worker, pause: float = PAUSE_SECONDS, patience: float = PATIENCE_SECONDS
    ) -> None:
        """Kills a worker that hangs: otherwise the kernel would keep giving it connections.

        Each check also fetches its metrics, so that few counts are lost with it.
        """
        while not worker.channel.gone:
            await asyncio.sleep(pause)
            if not worker.serving or self.ending.is_set():
                continue
            try:
                figures = worker.channel.ask("figures", Figures, seconds=patience)
                worker.figures = await figures
            except WorkerGoneError as error:
                if isinstance(error.__cause__, TimeoutError):
                    logger.error("worker %d hangs and is killed: %s", worker.number, error)
                    worker.signal(signal.SIGKILL)
                    return

    async def answer(self, worker: Worker, question: str, body: Raw) -> object:
        """Answers a worker's message."""
        match question:
            case "failed":
                worker.reason = msgspec.msgpack.decode(body, type=str)
            case "loaded":
                return await self.let_serve(worker, msgspec.msgpack.decode(body, type=Loaded))
            case "serving":
                worker.grpc = msgspec.msgpack.decode(body, type=str | None)
                worker.serving = True
                self.announce_once(worker)
            case "figures":
                worker.figures = msgspec.msgpack.decode(body, type=Figures)
            case "scrape":
                return await self.scrape()
            case "reload":
                return await self.reload()
            case _:
                raise ValueError(f"no supervisor knows {question}")
        return None

    async def let_serve(self, worker: Worker, loaded: Loaded) -> bool:
        """Waits until all workers are loaded, at the first start; then until all serve the same."""
        worker.loaded = loaded
        known = [other.loaded for other in self.workers.values()]
        if len(known) == self.number and all(known):
            self.all_loaded.set()
        await self.all_loaded.wait()
        served = {other.loaded.served for other in self.serving() if other.loaded}
        if served - {loaded.served}:
            logger.warning(
                "worker %d found a different bundle in its folder, or different label "
                "descriptions; all workers load them",
                worker.number,
            )
            done = await self.reload()
            if done.refused is not None:
                worker.reason = f"the others go on with what they have: {done.refused.reason}"
                return False
        return True

    def announce_once(self, worker: Worker) -> None:
        if self.announced:
            logger.info("worker %d serves", worker.number)
        elif worker.loaded and all(self.serves(n) for n in range(1, self.number + 1)):
            self.announced = True
            self.announce(worker.loaded, worker.grpc)

    def serves(self, number: int) -> bool:
        worker = self.workers.get(number)
        return worker is not None and worker.serving

    async def scrape(self) -> Scraped:
        """Collects all workers' metrics; uses the last known ones of a slow worker."""
        serving = self.serving()
        await asyncio.gather(*map(self.ask_figures, serving))
        return Scraped({w.number: w.figures for w in serving}, self.gone, self.restarts)

    async def ask_figures(self, worker: Worker) -> None:
        try:
            figures = worker.channel.ask("figures", Figures, seconds=FIGURES_SECONDS)
            worker.figures = await figures
        except WorkerGoneError as error:
            logger.warning("worker %d sent no metrics: %s", worker.number, error)

    def serving(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.serving]

    async def reload(self) -> Done:
        """See `Reloading.reload`."""
        return await self.reloading.reload(self.serving())

    def reload_in_background(self) -> None:
        """Reloads because of a signal; errors are only logged."""
        self.task = asyncio.create_task(self.reloading.after_others(self.serving))

    def end(self, now: bool = False) -> None:
        """Makes all workers drain; at once with `now`, or at the second call."""
        again = self.ending.is_set()
        self.ending.set()
        self.all_loaded.set()
        if not again:
            logger.info("ending all workers")
        for worker in self.workers.values():
            if worker.loaded is None:  # it does not read messages yet
                worker.signal(signal.SIGTERM)
            worker.channel.tell("end", now or again)
        settings = self.plan.settings
        drains = 1 if settings.grpc_port is None else 2  # gRPC ends before HTTP
        seconds = settings.grace_seconds + drains * settings.drain_seconds + SPARE_SECONDS
        asyncio.get_running_loop().call_later(seconds, self.kill)

    def fail(self, reason: str) -> None:
        self.failure = WorkersError(reason)
        self.end()

    def kill(self) -> None:
        for worker in self.workers.values():
            logger.error("worker %d does not end and is killed", worker.number)
            worker.signal(signal.SIGKILL)
