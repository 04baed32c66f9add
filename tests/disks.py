"""Separate file systems, where mounting is allowed."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_file_system(folder: Path, megabytes: int) -> Iterator[Path]:
    """An empty file system of that size, mounted on a new folder."""
    with mounted(folder, ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"]):
        yield folder


@contextmanager
def mounted(folder: Path, words: list[str]) -> Iterator[None]:
    """Mounts something on a new folder; where that is not allowed, the test is skipped."""
    folder.mkdir()
    try:
        run = subprocess.run(
            ["mount", *words, str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no `mount` here")
    if run.returncode:
        pytest.skip(f"mounting is not allowed here: {run.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
