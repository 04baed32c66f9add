"""From settings to an engine, for a start and for a reload, alone or as one of several workers."""

from pathlib import Path

from service.settings import Settings
from understudy.engine import Engine
from understudy.graph.progress import Progress, silent


def open_engine(
    bundle: Path,
    settings: Settings,
    scratch: Path | None,
    before: Engine | None,
    progress: Progress = silent,
) -> Engine:
    """The bundle as it lies in its folder now.

    Args:
        scratch: a folder of the log that ends with the service, where no other one is set.
        before: that serves until this one takes over.

    Raises:
        EngineError, BundleError, JournalError: see `Engine.open`.
    """
    return Engine.open(
        bundle,
        settings.threads,
        settings.provider,
        settings.limits,
        settings.data_folder or scratch,
        progress,
        log=settings.redis_log,
        kept=settings.data_folder is not None or scratch is None,
        before=before,
    )
