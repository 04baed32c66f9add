"""Measures how long a change takes to reach another replica, and how long a cold start takes.

    python -m benchmarks.replication --nodes 100000 --seconds 20

Two processes follow one log: a file in a data folder that they share, or a Redis that writes every
change to its disk, with a data folder each. One of them takes changes at given times, whatever
becomes of those before (open loop), each a new node and its edge. A change is acknowledged when the
caller's future is done, and seen when the other process's readers have it; both by the machine's
monotonic clock. There is no HTTP in between.

The cold start is of `understudy serve` with an empty data folder, from a snapshot in a store and
the changes since: seconds from the start of the process to the first answer that it is ready.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Semaphore
from typing import Annotated, NotRequired, TypedDict

import numpy as np
import psutil
import typer
from numpy.typing import NDArray

from benchmarks.chaos.processes import RedisServer, Replica, ending
from benchmarks.common.command import run_script
from benchmarks.common.random_bundle import make_bundle
from benchmarks.common.results import RESULTS, markdown_table, read_results, write_results
from benchmarks.errors import BenchmarkError
from benchmarks.serving.open_loop import steady_times
from understudy.engine.engine import Engine
from understudy.engine.updates.tickets import Applied
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutations import AddEdge, Mutation, UpsertNode
from understudy.progress import Progress, terminal_progress

RATES = (1.0, 100.0, 1_000.0)
BASE_NODES = 100
LEAST_CHANGES = 20  # of one rate
PATIENCE_SECONDS = 300.0  # after the last change, until all are seen
COLD_SECONDS = 1_800.0  # until a service is ready, however large its graph is
KINDS = {
    "sqlite": "SQLite, two processes on one data folder",
    "redis": "Redis (`appendfsync always`), a data folder each",
}
ABOUT = (
    "Milliseconds from a change's acknowledgement by one process to its visibility in another one "
    "of the same machine, in an open loop; one that was seen first counts as 0. All "
    "changes were acknowledged and seen. A change is a new node with an edge; there is no HTTP in "
    "between. `acknowledged after` is from the time at which it was to be sent."
)


# Of one rate on one kind of log, by the names in the file; milliseconds.
RateResult = TypedDict(
    "RateResult",
    {
        "changes": int,
        "changes a second": float,  # reached
        "median": float,  # from the acknowledgement to its visibility elsewhere
        "p99": float,
        "largest": float,
        "acknowledged after, median": float,  # from when it was to be sent
        "acknowledged after, p99": float,
    },
)


class Replication(TypedDict):
    nodes: int
    seconds: float  # of each rate
    kinds: dict[str, dict[str, RateResult]]  # by kind of log, then by rate


ColdStart = TypedDict(
    "ColdStart",
    {
        "seconds to ready": float,
        "processor seconds": NotRequired[float],
        "snapshot bytes": int,
        "changes since": int,
        "load average": NotRequired[float],  # before
    },
)
# Of results/replication.json.
ReplicationResults = TypedDict(
    "ReplicationResults",
    {
        "replication": NotRequired[Replication],
        "cold starts": NotRequired[dict[str, ColdStart]],  # by the graph's nodes
    },
)


@dataclass(frozen=True, slots=True)
class Place:
    """The data folder and the log of one process.

    Attributes:
        redis: URL of the log; "" for a file in the data folder.
    """

    bundle: Path
    data: Path
    redis: str = ""
    snapshots: str = ""

    def open(self) -> Engine:
        log = RedisLogOptions(self.redis, snapshots=self.snapshots) if self.redis else None
        return Engine.open(self.bundle, data=self.data, log=log)


def main(
    nodes: Annotated[int, typer.Option(help="Of the graph.", min=100)] = 100_000,
    seconds: Annotated[float, typer.Option(help="Of each rate.", min=1)] = 20.0,
    behind: Annotated[int, typer.Option(help="Changes since the cold start's snapshot.")] = 1_000,
    rates: Annotated[bool, typer.Option(help="Measure replication, not the start alone.")] = True,
) -> None:
    """Measure replication and a cold start, print and write results/replication.json."""
    path = RESULTS / "replication.json"
    found: ReplicationResults = {}
    if path.exists():
        found = read_results(path, ReplicationResults, "python -m benchmarks.replication")
    with tempfile.TemporaryDirectory() as name, terminal_progress() as progress:
        folder = Path(name)
        bundle = make_bundle(folder / "bundle", nodes)
        if rates:
            measured = replication(bundle, folder, seconds, progress)
            found["replication"] = {"nodes": nodes, "seconds": seconds, "kinds": measured}
            report(found)  # a cold start of many nodes takes a while
        with redis_server(folder / "cold-redis") as url:
            cold = cold_start(bundle, folder, url, behind)
        found.setdefault("cold starts", {})[str(nodes)] = cold
    report(found)


def replication(
    bundle: Path, folder: Path, seconds: float, progress: Progress
) -> dict[str, dict[str, RateResult]]:
    """Measures replication for each kind of log and each rate."""
    found: dict[str, dict[str, RateResult]] = {}
    steps = len(KINDS) * len(RATES)
    for before, kind in enumerate(KINDS):
        for number, rate in enumerate(RATES):
            progress("Measuring", before * len(RATES) + number, steps)
            place = folder / f"{kind}-{number}"
            if kind == "redis":
                with redis_server(place / "redis") as url:
                    pair = Place(bundle, place / "a", url), Place(bundle, place / "b", url)
                    figures = measure(*pair, rate, seconds)
            else:
                shared = Place(bundle, place / "data")
                figures = measure(shared, shared, rate, seconds)
            found.setdefault(kind, {})[f"{rate:g}"] = figures
    return found


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    server = RedisServer(folder)
    with ending([server]):
        server.start()
        server.await_ready()
        yield server.url


def measure(writer: Place, reader: Place, rate: float, seconds: float) -> RateResult:
    """Measures one rate on one log.

    Raises:
        BenchmarkError: a change was refused, or not seen.
    """
    times = steady_times(rate, max(int(rate * seconds), LEAST_CHANGES))
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=watch, args=(reader, len(times), theirs))
    process.start()
    theirs.close()
    try:
        ours.recv()
        with writer.open() as engine:
            sent, acknowledged = write(engine, times)
        if not ours.poll(PATIENCE_SECONDS):
            raise BenchmarkError("the other process has not seen all changes")
        seen = np.array(ours.recv())
    except EOFError as error:
        raise BenchmarkError("the other process has ended") from error
    finally:
        process.terminate()
        process.join()
    return figures_of(np.array(sent), np.array(acknowledged), seen)


def watch(place: Place, changes: int, connection: Connection) -> None:
    """Reports when each version was seen; runs in a process of its own."""
    seen: list[float] = []
    all_seen = Event()

    with place.open() as engine:

        def saw(_: "Future[None] | None" = None) -> None:
            now = time.monotonic()
            seen.extend([now] * (engine.state.version - len(seen)))
            if len(seen) < changes:
                engine.reach(len(seen) + 1).add_done_callback(saw)
            else:
                all_seen.set()

        saw()
        connection.send("ready")
        all_seen.wait()
        connection.send(seen)
        connection.poll(PATIENCE_SECONDS)  # the writer ends it: who leaves meanwhile makes work


def write(engine: Engine, times: Sequence[float]) -> tuple[list[float], list[float]]:
    """Sends changes at their times; when each was to be sent, and when acknowledged, by version."""
    base = base_of(engine)
    sent, acknowledged = [0.0] * len(times), [0.0] * len(times)
    refused: list[BaseException] = []
    done = Semaphore(0)

    def answered(outcome: Future[Applied], *, intended: float) -> None:
        now = time.monotonic()
        if error := outcome.exception():
            refused.append(error)
        else:
            version = outcome.result().version
            sent[version - 1], acknowledged[version - 1] = intended, now
        done.release()

    started = time.monotonic()
    for number, at in enumerate(times):
        if (wait := started + at - time.monotonic()) > 0:
            time.sleep(wait)
        outcome = engine.submit(change(number, base))
        outcome.add_done_callback(partial(answered, intended=started + at))
    for _ in times:
        done.acquire()
    if refused:
        raise BenchmarkError(f"{len(refused)} changes were refused, the first: {refused[0]}")
    return sent, acknowledged


def base_of(engine: Engine) -> list[str]:
    """Reads the ids of nodes that changes link to."""
    graph = engine.state.graph
    return [graph.id(row) for row in range(min(BASE_NODES, graph.num_rows))]


def change(number: int, base: Sequence[str]) -> list[Mutation]:
    name = f"change-{number}"
    return [UpsertNode(name, f"json parser {number}"), AddEdge(name, base[number % len(base)])]


def figures_of(
    sent: NDArray[np.float64], acknowledged: NDArray[np.float64], seen: NDArray[np.float64]
) -> RateResult:
    """Computes milliseconds from times float64 [changes], in seconds of one clock."""
    later = np.maximum(seen - acknowledged, 0.0) * 1_000
    answered = (acknowledged - sent) * 1_000
    span = acknowledged.max() - sent.min()
    return {
        "changes": len(seen),
        "changes a second": len(seen) / max(span, 1e-9),
        "median": float(np.median(later)),
        "p99": float(np.quantile(later, 0.99)),
        "largest": float(later.max()),
        "acknowledged after, median": float(np.median(answered)),
        "acknowledged after, p99": float(np.quantile(answered, 0.99)),
    }


@dataclass
class Cold(Replica):
    """A service that starts from a store."""

    snapshots: str = ""

    def command(self) -> list[str]:
        program, _, _, *rest = super().command()
        return [program, "-m", "understudy", "serve", *rest, "--snapshots", self.snapshots]


def cold_start(bundle: Path, folder: Path, redis: str, behind: int) -> ColdStart:
    """Seconds until a service is ready that has nothing but the bundle, the log and a store."""
    store = (folder / "store").as_uri()
    with Place(bundle, folder / "warm", redis, store).open() as engine:
        base = base_of(engine)
        engine.apply(change(0, base))
        engine.uploads.thread.close()  # what it began with; then what it is now
        engine.snapshot()
        engine.uploads.store()
        if engine.uploads.figures.number != 1:
            raise BenchmarkError("the snapshot was not stored")
        for number in range(1, behind + 1):
            engine.submit(change(number, base))
        engine.reach(behind + 1).result(PATIENCE_SECONDS)
    files = [path for path in (folder / "store").rglob("*") if path.is_file()]
    service = Cold(
        folder / "cold", bundle=bundle, data=folder / "cold-data", log=redis, snapshots=store
    )
    with ending([service]):
        load = os.getloadavg()[0]
        started = time.monotonic()
        service.start()
        service.await_ready(COLD_SECONDS)
        seconds = time.monotonic() - started
        cost = psutil.Process(service.pid).cpu_times()
    if not (folder / "cold-data" / "snapshot-1").is_dir():
        raise BenchmarkError("the service did not start from the store")
    size = sum(path.stat().st_size for path in files if "snapshot-1-" in str(path))
    return {
        "seconds to ready": seconds,
        "processor seconds": cost.user + cost.system,
        "snapshot bytes": size,
        "changes since": behind,
        "load average": load,
    }


def report(found: ReplicationResults) -> None:
    rows = []
    nothing: Replication = {"nodes": 0, "seconds": 0.0, "kinds": {}}
    measured = found.get("replication", nothing)
    for kind, rates in measured["kinds"].items():
        for rate, f in rates.items():
            row = [f["median"], f["p99"], f["largest"]]
            row += [f["acknowledged after, median"], f["acknowledged after, p99"]]
            rate = f"{float(rate):,g} ({f['changes a second']:,.3g})"
            rows.append([KINDS[kind], rate, *(f"{value:,.1f}" for value in row)])
    header = ["log", "changes a second (reached)", "seen after: median", "p99", "largest"]
    table = markdown_table([*header, "acknowledged after: median", "p99"], rows)
    starts = markdown_table(
        ["nodes", "seconds to ready", "of its processor", "load", "snapshot, MB", "changes since"],
        [
            [
                f"{int(nodes):,}",
                f"{cold['seconds to ready']:.1f}",
                f"{cold['processor seconds']:.1f}" if "processor seconds" in cold else "",
                f"{cold['load average']:.0f}" if "load average" in cold else "",
                f"{cold['snapshot bytes'] / 1e6:,.0f}",
                f"{cold['changes since']:,}",
            ]
            for nodes, cold in sorted(
                found.get("cold starts", {}).items(), key=lambda item: int(item[0])
            )
        ],
    )
    size = f"{measured['nodes']:,} nodes.\n\n" if rows else ""
    cold = (
        "A cold replica: `understudy serve` with an empty data folder, from the newest snapshot "
        "in a store (a folder) and the changes since; from the start of the process to ready. "
        "`load` is that of the machine before; with other work on it the processor's seconds tell."
    )
    text = f"{ABOUT} {size}{table}\n{cold}\n\n{starts}"
    write_results("replication", found, text)
    typer.echo(f"{table}\n{starts}")


if __name__ == "__main__":
    run_script(main)
