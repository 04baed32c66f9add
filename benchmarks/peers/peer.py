"""The common interface of all rivals: how to start one, ask it, and read its answers."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from benchmarks.errors import BenchmarkError
from benchmarks.peers.arguments import LOOPBACK
from benchmarks.serving.servers import CLASSIFY, SERVER_CORE, Served, keep_on, served

BATCH = 16  # requests that a rival may answer together, where it offers that
START_SECONDS = 180
POLL_SECONDS = 0.1
LOG_CHARACTERS = 300

NodeBody = Mapping[str, Any]  # a node as JSON: its id, or its text and neighbors
Scores = dict[str, float]  # the probabilities of the best labels


def our_body(nodes: Sequence[NodeBody], top_k: int = 1) -> bytes:
    return msgspec.json.encode({"nodes": nodes, "top_k": top_k})


def our_scores(content: bytes) -> list[Scores]:
    predictions = msgspec.json.decode(content)["predictions"]
    return [{top["label"]: top["score"] for top in found["top"]} for found in predictions]


@dataclass(frozen=True, slots=True)
class Peer:
    """A rival; the service itself can be seen as one."""

    name: str
    about: str  # how it answers
    module: str  # python -m MODULE BUNDLE STUDENT PORT ARGUMENTS
    packages: tuple[str, ...]  # that the interpreter which runs it must be able to import
    arguments: tuple[str, ...] = ()
    path: str = CLASSIFY
    unseen: bool = True  # whether it answers about nodes that are not stored
    changes: bool = False  # whether its graph can change, at POST /mutations
    exact: bool = True  # whether its answers must be the service's
    start_seconds: float = START_SECONDS  # at most, until it answers
    starts: int = 1  # at most, where it ends before it answers
    start_cores: str = SERVER_CORE  # until it answers; what is measured runs on the servers' core
    body: Callable[[Sequence[NodeBody], int], bytes] = our_body  # nodes, labels to tell → a request
    scores: Callable[[bytes], list[Scores]] = our_scores  # what an answer's content says


OURS = Peer("understudy", "the service", "understudy", ())


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python interpreter that can run a rival, and the versions of the packages."""

    path: str
    packages: dict[str, str]


def find_python(peer: Peer, paths: Sequence[str]) -> Interpreter:
    """Finds an interpreter that can run a rival; ours is tried last.

    Raises:
        BenchmarkError: none can; names what the last one lacks.
    """
    reason = ""
    for path in (*paths, sys.executable):
        command = [path, "-m", "benchmarks.peers.installed", *peer.packages]
        try:
            found = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise BenchmarkError(f"--python {path} cannot be run: {error.strerror}") from error
        if found.returncode == 0:
            return Interpreter(path, msgspec.json.decode(found.stdout.splitlines()[-1]))
        reason = (found.stderr.strip().splitlines() or ["it ended without a word"])[-1]
    raise BenchmarkError(f"no interpreter has what it needs: {reason}")


@contextmanager
def started(
    peer: Peer, python: str, folders: tuple[Path, Path], log: Path, first: NodeBody
) -> Iterator[Served]:
    """Starts a rival's server on the servers' core, and waits until it answers.

    Args:
        folders: the bundle, and the student that it was exported from
        log: file for its output
        first: id of a stored node to ask about until it answers

    Raises:
        BenchmarkError: it ended, or does not answer in time; quotes its last line.
    """
    command = [python, "-m", peer.module, *map(str, folders)]
    body = peer.body([first], 1)
    with log.open("wb") as errors, ExitStack() as stack:
        try:
            for left in reversed(range(peer.starts)):
                whole = [*command, free_port(), *peer.arguments]
                begun = served(*whole, errors=errors, cores=peer.start_cores)
                server = stack.enter_context(begun)
                if wait_for(server, peer, body, last=not left):
                    break
                stack.close()
            keep_on(server, SERVER_CORE)
            yield server
        except (BenchmarkError, httpx.TransportError) as error:
            lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next(
                (line.strip() for line in reversed(lines) if line.strip()), "it said nothing"
            )
            raise BenchmarkError(f"{error}: {last[:LOG_CHARACTERS]}") from error


def free_port() -> str:
    """Finds a port of the loopback interface that is free at this moment."""
    with socket.create_server((LOOPBACK, 0)) as free:
        return str(free.getsockname()[1])


def wait_for(server: Served, peer: Peer, body: bytes, last: bool = True) -> bool:
    """Asks until the server succeeds; returns False if it ended and may be started again.

    Raises:
        BenchmarkError: it ended, or does not answer in time.
    """
    end = time.monotonic() + peer.start_seconds
    while time.monotonic() < end:
        if not server.process.is_running() or server.process.status() == "zombie":
            if last:
                raise BenchmarkError("it ended while it started")
            return False
        try:
            if ask(server, peer, body).is_success:
                return True
        except httpx.TransportError:  # it does not listen yet
            pass
        time.sleep(POLL_SECONDS)
    raise BenchmarkError(f"it did not answer within {peer.start_seconds:.0f} seconds")


def ask(server: Served, peer: Peer, body: bytes) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return httpx.post(f"{server.url}{peer.path}", content=body, headers=headers, timeout=60)
