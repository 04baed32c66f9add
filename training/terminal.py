"""What commands of this room do to the terminal."""

import importlib
import sys

from understudy.graph.progress import step, terminal_progress


def load_libraries(module: str) -> None:
    """Imports a module of ours with the libraries that it needs, and says so: it takes seconds."""
    with terminal_progress() as progress, step(progress, "Loading torch"):
        importlib.import_module(module)
        quiet_libraries()


def quiet_libraries() -> None:
    """Stops libraries that are loaded from drawing bars of their own over ours."""
    if "transformers" not in sys.modules:
        return  # whoever loads it later calls this, too
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
