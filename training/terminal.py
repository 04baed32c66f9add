"""Terminal output of the training commands."""

import importlib
import sys

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
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
