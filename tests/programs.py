"""Programs of Debian that tests run beside the service, if installed."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
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
def running(command: Sequence[str], port: int) -> Iterator[str]:
    """Runs a program from when it listens; yields the URL of its port."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait_until_open(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


@contextmanager
def nginx(configuration: Path, port: int) -> Iterator[str]:
    """nginx with a configuration file, in whose folder it works; yields the URL of its port."""
    folder = str(configuration.parent)
    command = [needed("nginx"), "-p", folder, "-e", "stderr", "-c", str(configuration)]
    with running(command, port) as url:
        yield url


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
