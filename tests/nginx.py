"""Debian's nginx, for tests of what stands in front of the service."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SECONDS = 20


def needed(program: str) -> str:
    """The program's path; where it is not installed, the test is skipped."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def nginx(configuration: Path, port: int) -> Iterator[str]:
    """Runs it with a configuration file, in whose folder it works; yields the URL of its port."""
    program, folder = needed("nginx"), configuration.parent
    process = subprocess.Popen(
        [program, "-p", str(folder), "-e", "stderr", "-c", str(configuration)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until_open(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


def wait_until_open(process: "subprocess.Popen[str]", port: int) -> None:
    """Returns when a process that writes its complaints to a pipe listens."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
