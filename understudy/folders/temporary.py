"""Folders in the system's place for temporary files, which may be small and run full."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from understudy.folders.errors import place_errors_of


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


def temporary_errors(place: Path) -> AbstractContextManager[None]:
    """Converts errors of writing to a temporary place, see `place_errors_of`."""
    return place_errors_of(place, "TMPDIR")
