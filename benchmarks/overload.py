"""Measures unseen nodes per second at the sustainable rate, at twice that rate, and afterwards.

python -m benchmarks.overload BUNDLE [--seconds 60]
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer

from benchmarks.common.command import check_bundle, run_script
from benchmarks.common.graphs import described_bundle
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.serving.event_loop import run_to_end
from benchmarks.serving.nodes import json_node, student_nodes
from benchmarks.serving.open_loop import Tally, arrivals_of, open_loop, send, steady_times
from benchmarks.serving.raw_client import RawClient, prepare
from benchmarks.serving.servers import service
from understudy.engine.engine import Engine
from understudy.graph.snapshot import load_snapshot
from understudy.progress import step, terminal_progress

CONCURRENT = 16
NODES_A_REQUEST = 8  # in the overload, so that refusals are cheap beside answers


@dataclass(frozen=True, slots=True)
class OverloadResult:
    """Figures before, during and after twice the sustainable rate."""

    unseen_per_second_at_16: float  # nodes, one a request
    capacity_requests_per_second: float  # requests of NODES_A_REQUEST nodes
    goodput_over_capacity: float  # of successes at twice the capacity
    statuses: dict[int, int]  # of answers at twice the capacity → how many
    failures: dict[str, int]  # why there was no answer → how often
    accepted_p50_seconds: float
    accepted_p99_seconds: float
    memory_growth_mb: float  # of the server
    recovered_over_capacity: float  # afterwards
    refused_after: int
    engine_nodes_per_second: float  # of the engine itself
    unseen_over_engine: float


class Requests:
    """Prepared requests about unseen nodes whose texts are all different."""

    def __init__(self, bundle: Path) -> None:
        graph = load_snapshot(bundle / "graph")
        self.graph = described_bundle(bundle, graph)
        self.node_of = student_nodes(graph)["unseen"]
        self.rows = graph.num_nodes  # after which the same texts come, but for their number
        self.number = 0

    def as_from(self, number: int) -> None:
        """Makes requests that repeat the texts from a number on, so that they are equally long."""
        self.number += (number - self.number) % self.rows

    def prepare(self, nodes: int, count: int) -> list[bytes]:
        self.number += nodes * count
        numbers = iter(range(self.number - nodes * count, self.number))
        return [
            prepare({"nodes": [json_node(self.node_of(next(numbers))) for _ in range(nodes)]})
            for _ in range(count)
        ]


async def closed_loop(
    client: RawClient, requests: Sequence[bytes], seconds: float
) -> tuple[Tally, float]:
    """Clients that ask again as soon as they are answered; returns the seconds it really took."""
    tally, started, left = Tally(), time.perf_counter(), iter(requests)

    async def ask() -> None:
        while time.perf_counter() - started < seconds:
            request = next(left, None)
            if request is None:
                return
            await send(client, request, tally, time.perf_counter())

    await asyncio.gather(*(ask() for _ in range(CONCURRENT)))
    return tally, time.perf_counter() - started


def encoder_rate(bundle: Path, requests: Requests, rounds: int) -> float:
    """Nodes per second of the engine alone, in batches of as many nodes as clients."""
    with Engine.open(bundle) as engine:
        times = []
        for _ in range(rounds):
            nodes = [requests.node_of(requests.number + n) for n in range(CONCURRENT)]
            requests.number += CONCURRENT
            resolution = engine.resolve(nodes)
            started = time.perf_counter()
            engine.infer(resolution)
            times.append(time.perf_counter() - started)
    return CONCURRENT / statistics.median(times)


async def run(
    client: RawClient,
    requests: Requests,
    rate: float,
    seconds: float,
    process: psutil.Process,
) -> OverloadResult:
    """Runs the measurement; `rate` is the engine's own, in nodes per second."""
    enough = int(2 * rate * seconds / 4)
    single, took = await closed_loop(client, requests.prepare(1, enough), seconds / 4)
    unseen_rate = len(single.seconds) / took
    first = requests.number
    several = requests.prepare(NODES_A_REQUEST, enough // NODES_A_REQUEST)
    full, took = await closed_loop(client, several, seconds / 4)
    capacity = len(full.seconds) / took
    twice = requests.prepare(NODES_A_REQUEST, int(2 * capacity * seconds))
    before = process.memory_info().rss
    steady = arrivals_of(steady_times(2 * capacity, len(twice)), twice)
    tallies, took = await open_loop(client, steady)
    over = tallies[""]
    grown = process.memory_info().rss - before
    requests.as_from(first)
    again = requests.prepare(NODES_A_REQUEST, enough // NODES_A_REQUEST)
    recovered, after = await closed_loop(client, again, seconds / 4)
    unseen = round(unseen_rate, 1)
    return OverloadResult(
        unseen_per_second_at_16=unseen,
        capacity_requests_per_second=round(capacity, 1),
        goodput_over_capacity=round(len(over.seconds) / took / capacity, 3),
        statuses=dict(over.statuses),
        failures=dict(over.broken),
        accepted_p50_seconds=percentile(over.seconds, 50),
        accepted_p99_seconds=percentile(over.seconds, 99),
        memory_growth_mb=round(grown / 2**20, 1),
        recovered_over_capacity=round(len(recovered.seconds) / after / capacity, 3),
        refused_after=recovered.statuses.get(429, 0),
        engine_nodes_per_second=round(rate, 1),
        unseen_over_engine=round(unseen / rate, 3),
    )


def percentile(values: Sequence[float], rank: float) -> float:
    return round(float(np.percentile(values, rank)), 3) if values else 0.0


def overload(
    bundle: Annotated[Path, typer.Argument(help="Bundle to serve.")],
    seconds: Annotated[
        float, typer.Option(min=4, help="Seconds at twice the sustainable rate.")
    ] = 60.0,
    queue_tokens: Annotated[
        int, typer.Option(min=1, help="Estimated tokens that may wait in the queue.")
    ] = 16_384,
) -> None:
    """Measure unseen nodes at 16 concurrent requests, and twice the rate that can be sustained."""
    check_bundle(bundle, "taskset")
    requests = Requests(bundle)
    with terminal_progress() as progress:
        with step(progress, "Timing the engine"):
            own = encoder_rate(bundle, requests, rounds=20)
        with (
            service(bundle, "--queue-tokens", str(queue_tokens)) as served,
            step(progress, "Loading the service"),
        ):
            address = httpx.URL(served.url)
            client = RawClient(address.host, address.port or 80)
            result = run_to_end(run(client, requests, own, seconds, served.process))
    results = asdict(result)
    table = f"Bundle of {requests.graph}.\n\n"
    table += markdown_table(["unseen nodes", ""], [[k, v] for k, v in results.items()])
    publish_results("overload", {"graph": requests.graph, "seconds": seconds, **results}, table)


if __name__ == "__main__":
    run_script(overload)
