"""A worker's side of the channel: answers the supervisor, and asks it."""

import asyncio
import logging
import socket
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from service.errors import ReloadError, ReloadRunningError
from service.inference.current import Reload, Reloader
from service.telemetry.figures import Figures, MergedFigures, figures_of
from service.telemetry.metrics import Metrics
from service.workers.channel import Channel, send_now
from service.workers.messages import Done, Loaded, Refused, Scraped, Served

if TYPE_CHECKING:
    from service.parts import Parts

logger = logging.getLogger(__name__)
SCRAPE_SECONDS = 10.0


class Team:
    """All workers of a service, from one worker's view.

    Args:
        end: the worker's end of the pair of sockets to the supervisor.
    """

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.channel = Channel(end, self.answer)
        self.parts: Parts | None = None
        self.leave: Callable[[bool], None] | None = None
        self.ending = asyncio.Event()
        self.listening: asyncio.Task[None] | None = None

    def failed(self, reason: str) -> None:
        """Reports why this worker cannot serve; before there is an event loop."""
        send_now(self.end, "failed", reason)

    async def join(self, loaded: Loaded, leave: Callable[[bool], None]) -> bool:
        """Waits until all workers are loaded.

        Args:
            leave: ends the server; at once, if its argument is true.

        Returns:
            Whether to serve; False if the service ends before.
        """
        self.leave = leave
        reader = await self.channel.open()
        self.listening = asyncio.create_task(self.listen(reader))
        go = asyncio.create_task(self.channel.ask("loaded", bool, loaded))
        end = asyncio.create_task(self.ending.wait())
        await asyncio.wait((go, end), return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        if go.done() and go.exception() is None:
            return go.result()
        go.cancel()
        return False

    async def listen(self, reader: asyncio.StreamReader) -> None:
        await self.channel.listen(reader)
        if not self.ending.is_set():
            logger.error("the supervisor has ended, so this worker ends")
            self.depart(now=False)

    def depart(self, now: bool) -> None:
        self.ending.set()
        if self.leave is not None:
            self.leave(now)

    def serving(self, grpc: str | None) -> None:
        """Reports that requests are accepted."""
        self.channel.tell("serving", grpc)

    def last_figures(self) -> None:
        """Sends the last metrics, before the worker ends."""
        self.channel.tell("figures", self.figures())

    def figures(self) -> Figures:
        assert self.parts is not None
        return figures_of(self.parts.metrics)

    async def answer(self, question: str, body: Raw) -> object:
        """Answers the supervisor's question."""
        assert self.parts is not None
        match question:
            case "figures":
                self.parts.look()
                return self.figures()
            case "end":
                self.depart(msgspec.msgpack.decode(body, type=bool))
            case "reload":
                return await self.reload_here()
            case _:
                raise ValueError(f"no worker knows {question}")
        return None

    async def reload_here(self) -> Done:
        assert self.parts is not None
        reloader = self.parts.reloader
        assert isinstance(reloader, SharedReloader)
        try:
            done = await reloader.reload_here()
        except (ReloadError, ReloadRunningError) as error:
            served = served_by(self.parts)
            refused = Refused(str(error), isinstance(error, ReloadRunningError))
            return Done(served, served.model_version, 0.0, refused)
        return Done(served_by(self.parts), done.previous_version, done.seconds)

    async def reload(self) -> Reload:
        """Makes all workers load the bundle that is in its folder.

        Raises:
            ReloadError: the bundle cannot be served; all workers keep the old one.
            ReloadRunningError: another reload is running.
            WorkerGoneError: the supervisor is gone.
        """
        assert self.parts is not None
        done = await self.channel.ask("reload", Done)
        if done.refused is not None:
            if not done.served.model_version:  # no worker was asked, so none counted it
                self.parts.metrics.reloads.add("failed")
            kind = ReloadRunningError if done.refused.running else ReloadError
            raise kind(done.refused.reason)
        return Reload(self.parts.slot.engine, done.previous_version, done.seconds)

    async def scrape(self, metrics: Metrics) -> bytes:
        """Renders the metrics of all workers for Prometheus.

        Raises:
            WorkerGoneError: the supervisor is gone.
        """
        scraped = await self.channel.ask("scrape", Scraped, seconds=SCRAPE_SECONDS)
        return MergedFigures(metrics, scraped.workers, scraped.ended, scraped.restarts).render()

    def shared(self, reloader: Reloader) -> "SharedReloader":
        return SharedReloader(self, reloader)


def served_by(parts: "Parts") -> Served:
    """Describes what a worker serves now."""
    engine, asking = parts.slot.engine, parts.classifier.asking
    descriptions = () if asking is None else asking.descriptions(engine)
    content = msgspec.json.encode(descriptions)
    return Served(engine.model_version, sha256(content).hexdigest() if descriptions else "")


class SharedReloader(Reloader):
    """Reloads all workers; `reload_here` reloads this one."""

    def __init__(self, team: Team, own: Reloader) -> None:
        super().__init__(own.slot, own.open_engine, own.attach, own.metrics)
        self.team = team

    async def reload(self) -> Reload:
        """See `Team.reload`."""
        return await self.team.reload()

    async def reload_here(self) -> Reload:
        """See `Reloader.reload`."""
        return await super().reload()
