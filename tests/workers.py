"""A service of several workers, as a user starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

CONNECTIONS = 16  # each of them new: it is most unlikely that one worker gets all


class Workers:
    """The processes, and connections to them."""

    def __init__(self, bundle: Path, *options: str) -> None:
        command = ["serve", str(bundle), "--port", "0", "--workers", "2", *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "understudy", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if "UNDERSTUDY" not in name},
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline().split()
        self.url = said[2] if said else ""
        self.children = psutil.Process(self.process.pid).children() if said else []

    def line(self, text: str) -> str:
        """The next line of the log that holds a text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return line
        raise AssertionError(f"no line of the log says {text!r}")

    def grpc_address(self) -> str:
        """Of a service that was started with `--grpc-port`; asked once."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("and for gRPC on ")
        return line.split()[-1]

    def rest(self) -> str:
        """The log until no process holds it any more: neither the supervisor nor a worker."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def end(self) -> str:
        """Ends all with SIGTERM; returns the rest of the log."""
        self.process.send_signal(signal.SIGTERM)
        log = self.rest()
        self.process.wait()
        return log

    @contextmanager
    def clients(self, number: int = CONNECTIONS) -> Iterator[Sequence[httpx.Client]]:
        """Some connections that stay open, spread over the workers by the kernel."""
        clients = [httpx.Client(base_url=self.url, timeout=60) for _ in range(number)]
        try:
            for client in clients:
                client.get("/health/live").raise_for_status()
            yield clients
        finally:
            for client in clients:
                client.close()

    def scrape(self) -> dict[str, float]:
        """Every figure by its name and labels, from a connection of its own."""
        lines = httpx.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


@contextmanager
def workers(bundle: Path, *options: str) -> Iterator[Workers]:
    """Two workers; all that is left of them at the end is killed."""
    service = Workers(bundle, *options)
    try:
        yield service
    finally:
        found = psutil.Process(service.process.pid) if service.process.poll() is None else None
        left = [*(found.children() if found else []), *service.children]
        if found:
            service.process.kill()
        for process in left:
            if process.is_running():
                process.kill()
        service.process.communicate()


def until(client: httpx.Client, path: str, status: int) -> Any:
    """Asks again and again until the answer is as it will be soon; returns what it says."""
    while (answer := client.get(path)).status_code != status:
        pass
    return answer.json()
