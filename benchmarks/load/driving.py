"""Sends requests to a service at one rate; records answers, their times, and the load."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks.load.offered import Offered
from benchmarks.serving.open_loop import Arrival, Tally, open_loop
from benchmarks.serving.raw_client import RawClient
from benchmarks.serving.servers import NO_CACHE, Served, service, teacher_server

REFUSALS = (429, 503)
WARM = 50  # requests before each rate, which are not counted


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers to requests of one sort at one rate; times in milliseconds from their set times."""

    requests: int
    p50: float | None  # None where none was answered with success
    p99: float | None
    in_time: int  # answers with success within the deadline
    refused: int  # 429 and 503: asked to come again
    failed: int  # any other status, and no answer
    failures: dict[str, int] = field(default_factory=dict)  # why they failed → how often


@dataclass(frozen=True, slots=True, kw_only=True)
class RateResult:
    """The results of one mix at one rate."""

    mix: str
    rate: float  # requests a second
    told: bool = False  # whether requests carried a deadline
    goodput_per_second: float  # answers with success within the deadline
    server_busy: float  # cores; the teacher's server included
    client_busy: float
    all: Answered
    sorts: dict[str, Answered]


@contextmanager
def load_servers(bundle: Path, teacher: Path | None) -> Iterator[list[Served]]:
    """Starts the service, and the teacher's server if there is one; waits until it is ready."""
    with ExitStack() as stack:
        servers: list[Served] = []
        flags: tuple[str, ...] = NO_CACHE
        if teacher is not None:
            servers.append(stack.enter_context(teacher_server(teacher)))
            flags = (*NO_CACHE, "--teacher-url", f"{servers[0].url}/v1")
        server = stack.enter_context(service(bundle, *flags))
        httpx.get(f"{server.url}/health/ready").raise_for_status()
        yield [server, *servers]


async def drive(
    servers: Sequence[Served], arrivals: Sequence[Arrival], offered: Offered, deadline: float
) -> RateResult:
    """One rate's figures, all sorts together and each of them; the first server is asked.

    Args:
        deadline: seconds within which an answer is in time
    """
    address = httpx.URL(servers[0].url)
    client = RawClient(address.host, address.port or 80)
    for arrival in arrivals[:WARM]:
        if arrival.sort in ("stored", "unseen"):
            await client.send(arrival.request)
    before, own = busy_seconds(servers), psutil.Process().cpu_times()
    tallies, took = await open_loop(client, arrivals)
    after = psutil.Process().cpu_times()
    client.close()
    sorts = {name: answered(tally, deadline) for name, tally in tallies.items()}
    everything = answered(together(tallies), deadline)
    return RateResult(
        mix=offered.mix,
        rate=offered.rate,
        told=offered.wish is not None,
        goodput_per_second=round(everything.in_time / max(offered.seconds, took), 2),
        server_busy=round((busy_seconds(servers) - before) / took, 3),
        client_busy=round((after.user + after.system - own.user - own.system) / took, 3),
        all=everything,
        sorts=sorts,
    )


def busy_seconds(servers: Sequence[Served]) -> float:
    return sum(server.processor_seconds for server in servers)


def together(tallies: Mapping[str, Tally]) -> Tally:
    whole = Tally()
    for tally in tallies.values():
        whole.seconds += tally.seconds
        whole.statuses.update(tally.statuses)
        whole.broken.update(tally.broken)
    return whole


def answered(tally: Tally, deadline: float) -> Answered:
    times = np.array(tally.seconds)
    p50 = p99 = None
    if tally.seconds:
        p50, p99 = (1_000 * np.percentile(times, [50, 99])).round(3).tolist()
    refused = sum(tally.statuses.get(status, 0) for status in REFUSALS)
    requests = sum(tally.statuses.values()) + tally.failures
    in_time = int((times <= deadline).sum())
    others = {s: count for s, count in tally.statuses.items() if s not in (200, *REFUSALS)}
    failures = {f"status {status}": count for status, count in others.items()} | tally.broken
    return Answered(requests, p50, p99, in_time, refused, sum(failures.values()), failures)
