"""Unseen nodes under load: the batched rate, then twice what can be sustained, then after it.

python -m benchmarks.overload runs/demo/bundle --seconds 60
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

from benchmarks.http import service
from benchmarks.latency import json_node, student_nodes
from benchmarks.measure import markdown_table, write_results
from graph.snapshot import load_snapshot
from service.engine import Engine

CONCURRENT = 16
BATCH = 64  # of the encoder's own rate
NODES_A_REQUEST = 8  # in the overload, so that refusals are cheap beside answers


@dataclass(slots=True)
class Tally:
    """Answers by status, and the seconds of those that were answered."""

    statuses: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    failures: int = 0

    def add(self, status: int, seconds: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.seconds.append(seconds)


class Bodies:
    """Requests whose texts are all different."""

    def __init__(self, bundle: Path) -> None:
        self.node_of = student_nodes(load_snapshot(bundle / "graph"))["unseen"]
        self.number = 0

    def next(self, nodes: int) -> dict[str, Any]:
        self.number += nodes
        return {"nodes": [json_node(self.node_of(self.number - n)) for n in range(nodes)]}


async def send(client: httpx.AsyncClient, body: dict[str, Any], tally: Tally) -> None:
    started = time.perf_counter()
    try:
        response = await client.post("/classify", json=body)
    except httpx.HTTPError:
        tally.failures += 1
        return
    tally.add(response.status_code, time.perf_counter() - started)


async def closed_loop(
    client: httpx.AsyncClient, bodies: Bodies, nodes: int, clients: int, seconds: float
) -> tuple[Tally, float]:
    """Clients that ask again as soon as they are answered; returns the seconds it really took."""
    tally, started = Tally(), time.perf_counter()

    async def ask() -> None:
        while time.perf_counter() - started < seconds:
            await send(client, bodies.next(nodes), tally)

    await asyncio.gather(*(ask() for _ in range(clients)))
    return tally, time.perf_counter() - started


async def open_loop(
    client: httpx.AsyncClient, bodies: Bodies, per_second: float, seconds: float
) -> tuple[Tally, float]:
    """Requests at a fixed rate, whatever the answers do."""
    tally, tasks = Tally(), set[asyncio.Task[None]]()
    started = time.perf_counter()
    sent = 0
    while (elapsed := time.perf_counter() - started) < seconds:
        while sent < elapsed * per_second:
            task = asyncio.create_task(send(client, bodies.next(NODES_A_REQUEST), tally))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    return tally, time.perf_counter() - started


def encoder_rate(bundle: Path, bodies: Bodies, rounds: int) -> float:
    """Nodes a second of the engine itself, in batches."""
    with Engine.open(bundle) as engine:
        times = []
        for _ in range(rounds):
            nodes = [bodies.node_of(bodies.number + n) for n in range(BATCH)]
            bodies.number += BATCH
            resolution = engine.resolve(nodes)
            started = time.perf_counter()
            engine.infer(resolution)
            times.append(time.perf_counter() - started)
    return BATCH / statistics.median(times)


async def run(url: str, bodies: Bodies, seconds: float, memory: Any) -> dict[str, Any]:
    limits = httpx.Limits(max_connections=2_000)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        single, took = await closed_loop(client, bodies, 1, CONCURRENT, seconds / 4)
        unseen_rate = len(single.seconds) / took
        full, took = await closed_loop(client, bodies, NODES_A_REQUEST, CONCURRENT, seconds / 4)
        capacity = len(full.seconds) / took
        before = memory()
        over, took = await open_loop(client, bodies, 2 * capacity, seconds)
        after = memory()
        recovered, again = await closed_loop(client, bodies, NODES_A_REQUEST, CONCURRENT, 3)
    return {
        "unseen_per_second_at_16": round(unseen_rate, 1),
        "capacity_requests_per_second": round(capacity, 1),
        "goodput_over_capacity": round(len(over.seconds) / took / capacity, 3),
        "statuses": over.statuses,
        "failures": over.failures,
        "accepted_p99_seconds": percentile(over.seconds, 99),
        "memory_growth_mb": round((after - before) / 2**20, 1),
        "recovered_over_capacity": round(len(recovered.seconds) / again / capacity, 3),
        "refused_after": recovered.statuses.get(429, 0),
    }


def percentile(values: Sequence[float], rank: float) -> float:
    return round(float(np.percentile(values, rank)), 3) if values else 0.0


def overload(
    bundle: Annotated[Path, typer.Argument(help="Bundle to serve.")],
    seconds: Annotated[float, typer.Option(help="Of twice the sustainable rate.")] = 60.0,
    queue_tokens: Annotated[int, typer.Option(help="That may wait.")] = 16_384,
) -> None:
    """Measure unseen nodes at 16 concurrent requests, and twice the rate that can be sustained."""
    bodies = Bodies(bundle)
    own = encoder_rate(bundle, bodies, rounds=20)
    # Measured here, the texts are known: those that the service is sent are others.
    with service(bundle, "--queue-tokens", str(queue_tokens)) as served:
        memory = served.process.memory_info
        results = asyncio.run(run(served.url, bodies, seconds, lambda: memory().rss))
    results["engine_nodes_per_second"] = round(own, 1)
    results["unseen_over_engine"] = round(results["unseen_per_second_at_16"] / own, 3)
    table = markdown_table(["unseen nodes", ""], [[k, v] for k, v in results.items()])
    typer.echo(table)
    write_results("overload", {"seconds": seconds, **results}, table)


if __name__ == "__main__":
    typer.run(overload)
