"""A real server process, ready when its health says so."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.bundles import TinyBundle

START_SECONDS = 60
JSON = {"content-type": "application/json"}
POST_CLASSIFY = b"POST /classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
STOP_SECONDS = 20


@dataclass(frozen=True)
class Service:
    """A running `understudy serve`."""

    process: subprocess.Popen[str]
    client: httpx.Client
    url: str

    def classify(self, *nodes: object, **options: object) -> httpx.Response:
        return self.client.post("/classify", json={"nodes": nodes, **options})

    def raw_connection(self) -> socket.socket:
        """For what an HTTP client would not send."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return socket.create_connection((host, int(port)), timeout=STOP_SECONDS)


def received(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def answers(stream: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Takes a stream of answers apart, each with its own length."""
    found = []
    while stream:
        head, _, rest = stream.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        found.append((int(status.split()[1]), headers, rest[:length]))
        stream = rest[length:]
    return found


def command(bundle: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "understudy", "serve", str(bundle), *flags]


def environment() -> dict[str, str]:
    """This process's own, without any setting of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}


@contextmanager
def serving(bundle: Path, *flags: str) -> Iterator[Service]:
    """Starts a service on a free port and ends it by its own process handle."""
    process = subprocess.Popen(
        command(bundle, "--port", "0", *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # printed once the server listens
        assert line.startswith("listening on "), line
        url = line.split()[2]
        with httpx.Client(base_url=url, headers=JSON, timeout=START_SECONDS) as client:
            assert client.get("/health/ready").status_code == 200
            yield Service(process, client, url)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS)


@pytest.fixture(scope="session")
def service(tiny_bundle: TinyBundle) -> Iterator[Service]:
    with serving(tiny_bundle.folder, "--max-nodes", "300") as running:
        yield running
