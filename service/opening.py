"""Opens an engine from settings, for a start or a reload, alone or as one of several workers."""

from pathlib import Path

from service.settings import Settings
from understudy.engine import Engine
from understudy.progress import Progress, silent


def open_engine(
    bundle: Path,
    settings: Settings,
    scratch: Path | None,
    before: Engine | None,
    progress: Progress = silent,
) -> Engine:
    """Opens the bundle as it is in its folder now.

    Args:
        scratch: a temporary folder for the log, used if the settings name no data folder.
        before: the engine that serves until this one takes over.

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
