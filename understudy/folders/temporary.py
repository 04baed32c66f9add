"""Folders in the system's place for temporary files, which may be small and run full."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.folders.errors import OutputUnwritableError, place_errors


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yields a new folder that is removed at the end; write to it under `temporary_errors`.

    Raises:
        OutputUnwritableError: it cannot be made.
    """
    with temporary_errors(Path(tempfile.gettempdir())):
        folder = tempfile.TemporaryDirectory(prefix="understudy-")
    with folder as name:
        yield Path(name)


@contextmanager
def temporary_errors(place: Path) -> Iterator[None]:
    """Converts errors of writing to a temporary place, which are not the output's fault.

    Raises:
        OutputUnwritableError: replaces such an error.
    """
    try:
        with place_errors(place):
            yield
    except OutputUnwritableError as error:
        raise OutputUnwritableError(
            f"{error}; set TMPDIR to a folder with room that can be written"
        ) from error
