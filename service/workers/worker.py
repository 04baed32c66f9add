"""One worker process: loads, waits for the others, then serves on the shared port."""

import gc
import logging
import signal
import socket
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from service.app import create_app
from service.http.access import Key
from service.opening import open_engine
from service.server import Server, bind, exit_on_signals, run_server
from service.settings import Settings
from service.welcome import example
from service.workers.messages import Loaded
from service.workers.team import Team, served_by
from understudy.bundle import BundleError
from understudy.engine.errors import EngineError
from understudy.folders.errors import FolderError
from understudy.graph.errors import GraphError
from understudy.progress import step, terminal_progress

logger = logging.getLogger(__name__)
EXPECTED = (EngineError, GraphError, BundleError, FolderError, OSError)


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker is started with.

    Attributes:
        settings: the worker's share, with the actual ports in place of 0.
        scratch: temporary folder of the log; None if there is a data folder.
        keys: the accepted API keys. A replacement worker accepts the same ones as its predecessor,
            even if their file changed.
    """

    bundle: Path
    settings: Settings
    scratch: Path | None
    keys: tuple[Key, ...]


class WorkerServer(Server):
    """A server that starts and ends together with the other workers."""

    def __init__(self, *arguments: Any, team: Team, loaded: Loaded) -> None:
        super().__init__(*arguments)
        self.team = team
        self.loaded = loaded

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if not await self.team.join(self.loaded, self.leave):
            self.service.parts.slot.engine.close()
            sys.exit(0)
        await super().startup(sockets)
        if self.started:
            self.team.serving(self.grpc.address if self.grpc else None)

    def leave(self, now: bool) -> None:
        """Ends as at SIGTERM, or at once."""
        self.end_with_grace()
        if now:
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ends on SIGTERM; ignores a terminal's SIGINT, which the supervisor handles."""
        if sig != signal.SIGINT:
            super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self.team.last_figures()


def run_worker(plan: Plan, number: int, end: socket.socket) -> None:
    """Serves until told to end.

    Args:
        number: from 1.
        end: the worker's end of the pair of sockets to the supervisor.

    Raises:
        SystemExit: always; 1 after the supervisor was told why the worker cannot serve.
    """
    exit_on_signals()
    name_in_logs(number)
    team = Team(end)
    try:
        serve_with(team, plan, number)
    except EXPECTED as error:
        team.failed(str(error))
        sys.exit(1)
    except Exception as error:
        logger.exception("worker %d cannot serve", number)
        team.failed(f"an unexpected {type(error).__name__}: {error}")
        sys.exit(1)


def name_in_logs(number: int) -> None:
    """Adds the worker's number to every line of the log."""

    def named(record: logging.LogRecord) -> bool:
        record.worker = number
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(named)


def serve_with(team: Team, plan: Plan, number: int) -> None:
    settings = plan.settings
    opened = partial(open_engine, plan.bundle, settings, plan.scratch)
    if number == 1:  # shows progress for all: several bars in a terminal overwrite each other
        with terminal_progress(logger.info) as progress, step(progress, "Opening the bundle"):
            engine = opened(None, progress)
    else:
        engine = opened(None)
    app = create_app(engine, settings, opened, team, plan.keys)
    team.parts = app.parts
    loaded = Loaded(served_by(app.parts), bool(app.parts.access.keys), example(engine.state))
    gc.collect()
    gc.freeze()
    with bind(settings.host, settings.port, shared=True) as bound:
        kind = partial(WorkerServer, team=team, loaded=loaded)
        run_server(app, bound, settings, lambda _, __: None, kind)
