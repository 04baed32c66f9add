"""Runs code as a user with fewer rights than root."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOBODY = 65_534


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A folder that others may enter, as they may not enter those of the tests."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Is nobody for a while; where root does not run the tests, they are skipped."""
    if os.geteuid() != 0:
        pytest.skip("root alone may become another user")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
