"""Terminal output of the training commands."""

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from understudy.progress import step, terminal_progress


def load_libraries(module: str) -> None:
    """Imports a module with its libraries, and shows progress, because that takes seconds."""
    with terminal_progress() as progress, step(progress, "Loading torch"):
        importlib.import_module(module)
        quiet_libraries()


def quiet_libraries() -> None:
    """Stops loaded libraries from drawing their own progress bars."""
    if "transformers" not in sys.modules:
        return  # code that loads it later calls this, too
    from transformers.utils import logging as own

    own.disable_progress_bar()
    own.set_verbosity_error()


@contextmanager
def quiet_log(name: str) -> Iterator[None]:
    """Keeps a library's advice out of the log while it is imported; its errors stay."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
