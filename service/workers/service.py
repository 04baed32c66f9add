"""`understudy serve --workers`: starts a supervisor and its workers from settings."""

import asyncio
import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from service.errors import SettingsError
from service.parts import keys_of
from service.server import bind_for_others, url_of
from service.settings import Settings
from service.welcome import welcome
from service.workers.messages import Loaded
from service.workers.scratch import scratch_folder
from service.workers.shares import cores, remarks, share_of
from service.workers.supervisor import Supervisor
from service.workers.worker import Plan
from understudy.standard_streams import announce

logger = logging.getLogger(__name__)


def serve_together(bundle: Path, settings: Settings) -> None:
    """Serves with several processes until told to end.

    Raises:
        SettingsError: the system is not supported, the keys cannot be read, or a limit is too small
            to be divided among the workers.
        AddressError: a port is taken.
        WorkersError: the workers cannot be started.
    """
    if sys.platform != "linux":
        raise SettingsError(
            "--workers needs Linux, which distributes a port's connections; elsewhere start "
            "several services on different ports with one --data-folder, behind a load balancer",
            setting="workers",
        )
    available = cores()
    for remark in remarks(settings, available):
        logger.warning("%s", remark)
    share, keys = share_of(settings, available), keys_of(settings)
    logger.info(
        "starting %d workers with %d thread(s) per inference each", share.workers, share.threads
    )
    with ExitStack() as stack:
        bound = stack.enter_context(bind_for_others(settings.host, settings.port))
        ports = {"port": bound.getsockname()[1]}
        if settings.grpc_port is not None:
            taken = stack.enter_context(bind_for_others(settings.host, settings.grpc_port))
            ports["grpc_port"] = taken.getsockname()[1]
        scratch = stack.enter_context(shared_changes(settings))
        share_early(settings)

        def serving(loaded: Loaded, grpc: str | None) -> None:
            page, url = settings.page, url_of(bound)
            announce(welcome(url, grpc, page, loaded.keys, loaded.example), logger)

        plan = Plan(bundle, share.model_copy(update=ports), scratch, keys)
        asyncio.run(Supervisor(plan, serving).run())


@contextmanager
def shared_changes(settings: Settings) -> Iterator[Path | None]:
    """Yields a temporary folder for the workers' log; None if there is a data folder."""
    if settings.data_folder is not None:
        yield None
        return
    with scratch_folder() as folder:
        logger.info(
            "changes of the graph are shared in %s and are lost when the service ends", folder
        )
        yield folder


def share_early(settings: Settings) -> None:
    """Imports what every worker needs before the fork, and excludes it from garbage collection.

    gRPC is left out, because importing it starts threads.
    """
    wanted = {
        "pandas": find_spec("pandas") is not None,  # pyarrow imports it, if installed
        "service.mcp.server": settings.mcp,
        "openai": bool(settings.teacher_url),
    }
    for name, needed in wanted.items():
        if needed:
            import_module(name)
    gc.collect()
    gc.freeze()
