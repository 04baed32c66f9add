"""The processes that `benchmarks.chaos` kills: services, and the Redis server with their log."""

import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from redis import Redis
from redis.exceptions import RedisError

from benchmarks.errors import BenchmarkError
from benchmarks.serving.servers import redis_program

START_SECONDS = 120.0
PAUSE_SECONDS = 0.05
REDIS_OPTIONS = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@dataclass
class Killable:
    """A process that can be killed and started again; it keeps its port and its folder."""

    folder: Path
    port: int = field(default_factory=free_port)
    kills: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("ab") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=output)

    def await_ready(self, seconds: float = START_SECONDS) -> None:
        """Waits until the process answers.

        Raises:
            BenchmarkError: it ended, or does not answer in time.
        """
        until = time.monotonic() + seconds
        while not self.answers():
            if self.ended():
                raise BenchmarkError(f"a process ended by itself: {self.last_words()}")
            if time.monotonic() > until:
                raise BenchmarkError(f"a process is not ready after {seconds:g} s")
            time.sleep(PAUSE_SECONDS)

    def last_words(self) -> str:
        lines = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        return lines.strip().rpartition("\n")[2]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ended(self) -> bool:
        """Whether it has ended by itself, or was killed."""
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(START_SECONDS)


@dataclass
class Replica(Killable):
    """A service of one process.

    Attributes:
        bundle: the bundle that it serves.
        data: its data folder.
        log: URL of the log's Redis; "" for a file in the data folder.
    """

    bundle: Path = Path()
    data: Path = Path()
    log: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        flags = ["--port", str(self.port), "--data-folder", str(self.data)]
        if self.log:
            flags += ["--log", self.log, "--log-records", "200"]
        return [sys.executable, "-m", "benchmarks.chaos.service", str(self.bundle), *flags]

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready").status_code == 200
        except httpx.TransportError:
            return False


@dataclass
class Team(Replica):
    """A service of several workers, each of which may be killed.

    Attributes:
        workers: number of workers.
        killed_workers: number of times that one was killed while the others went on.
    """

    workers: int = 2
    killed_workers: int = 0

    def command(self) -> list[str]:
        return [*super().command(), "--workers", str(self.workers)]

    def started(self) -> list[psutil.Process]:
        """Lists the living workers."""
        try:
            workers: list[psutil.Process] = psutil.Process(self.pid).children()
        except psutil.NoSuchProcess:
            return []
        return workers

    def kill(self) -> None:
        """Kills the supervisor and all workers at once."""
        workers = self.started()
        super().kill()
        for worker in workers:
            kill_other(worker)
        psutil.wait_procs(workers)

    def kill_one(self, chance: random.Random) -> None:
        """Kills one worker at random; the supervisor replaces it."""
        if workers := self.started():
            kill_other(chance.choice(workers))
            self.killed_workers += 1


def kill_other(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


@dataclass
class RedisServer(Killable):
    """A Redis server with the settings that a log requires."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        return [redis_program(), *where, *REDIS_OPTIONS]

    def answers(self) -> bool:
        with Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except (RedisError, OSError):
                return False

    def version(self) -> str:
        with Redis(port=self.port) as client:
            return str(client.info("server")["redis_version"])


@contextmanager
def ending(processes: list[Killable]) -> Iterator[None]:
    """Ends the processes after the block, even if it raises."""
    try:
        yield
    finally:
        for process in processes:
            process.end()
