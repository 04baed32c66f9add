"""Compares two workers with one process: nodes per second, processor time, and memory.

    python -m benchmarks.workers BUNDLE

Look-ups and unseen nodes: one process on the first core against two workers, one pinned to each
core, with the load's own processor time between them; each worker gets as many connections as the
one process, since a look-up costs less if more connections have sent something when a process wakes
up. Two independent services, pinned in the same way, show the cost of two processes as such. Memory
is measured after answers about nodes all over the graph; other pages of the bundle are shared, and
read later or never.
"""

import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import psutil
import typer

from benchmarks.common.command import check_bundle, run_script
from benchmarks.common.graphs import described
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.serving.questions import id_bodies
from benchmarks.serving.servers import CLASSIFY, Served, service
from benchmarks.serving.wrk import CONNECTIONS, LoadRun, wrk
from understudy.graph import TextGraph
from understudy.graph.snapshot import load_snapshot
from understudy.progress import terminal_progress

WORKERS = ("--workers", "2")
CORES = (0, 1)
BOTH = "0,1"
UNSEEN_NODES = 16  # of a request: the load then takes little of what it shares with the workers
REQUESTS = 100  # that are different
NODES_AT_ONCE = 256
EACH = 16  # of the stored nodes, one is asked for: about one a page of their scores
MEBIBYTE = 2**20
FRESH = ("--cached-embeddings", "0")  # a text that comes again is read again
ABOUT = (
    "Each worker has a core of its own, and so have two services that know nothing of each other; "
    "the load comes from both cores."
)


def main(
    bundle: Annotated[Path, typer.Argument(help="Bundle to serve.")],
    seconds: Annotated[int, typer.Option(min=1, help="Of each run.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each; medians are told.")] = 5,
) -> None:
    """Measure, print and write results/workers.json."""
    check_bundle(bundle, "taskset", "wrk")
    graph = load_snapshot(bundle / "graph")
    with terminal_progress() as progress:
        lookups = loaded(bundle, id_bodies(graph.ids.to_pylist(), 1, REQUESTS), seconds, rounds)
        progress("Measuring", 1, 3)
        unseen = loaded(bundle, unseen_bodies(graph), seconds, rounds, *FRESH)
        progress("Measuring", 2, 3)
        memory = {name: memory_of(bundle, graph, *flags) for name, flags in SERVICES.items()}
        progress("Measuring", 3, 3)
    report(described(graph), lookups, unseen, memory)


SERVICES: dict[str, tuple[str, ...]] = {"one": (), "two": WORKERS}
PAIR = "pair"  # two services of one process each
KINDS = (*SERVICES, PAIR)
Runs = dict[str, list[LoadRun]]


@dataclass(frozen=True, slots=True)
class WorkersResults:
    """The content of results/workers.json; for one process, two workers, two services."""

    graph: str
    ratios: dict[str, float]
    lookups: Runs
    unseen_requests: Runs
    nodes_a_request: int  # of unseen ones
    memory_mebibytes: dict[str, list[dict[str, float]]]  # of each process, by psutil's kinds


def loaded(bundle: Path, bodies: Sequence[bytes], seconds: int, rounds: int, *flags: str) -> Runs:
    """Loads each service in turn; the load comes from both cores."""
    cores = list(map(str, CORES))
    with (
        service(bundle, *flags) as one,
        service(bundle, *WORKERS, *flags, cores=BOTH) as two,
        service(bundle, *flags, cores=cores[0]) as first,
        service(bundle, *flags, cores=cores[1]) as second,
    ):
        for core, worker in zip(CORES, two.processes[1:], strict=True):
            pin(worker, core)
        runs: Runs = {"one": [], "two": [], PAIR: []}
        for _ in range(rounds):
            for name, servers in (("one", [one]), ("two", [two]), (PAIR, [first, second])):
                runs[name].append(together(servers, bodies, seconds))
    return runs


def together(servers: Sequence[Served], bodies: Sequence[bytes], seconds: int) -> LoadRun:
    """Loads servers at the same time; returns the sum of their rates, and the mean cost."""
    with ThreadPoolExecutor(len(servers)) as pool:
        pending = [
            pool.submit(wrk, server, bodies, seconds, connections_of(server), CLASSIFY, BOTH)
            for server in servers
        ]
        runs = [one.result() for one in pending]
    rate = sum(run.per_second for run in runs)
    return LoadRun(rate, sum(run.microseconds * run.per_second for run in runs) / rate)


def connections_of(server: Served) -> int:
    """The number of connections, equal for each process that answers."""
    return CONNECTIONS * max(len(server.processes) - 1, 1)


def pin(process: psutil.Process, core: int) -> None:
    """Pins a process and all its threads to a core."""
    for thread in process.threads():
        os.sched_setaffinity(thread.id, {core})


def unseen_bodies(graph: TextGraph) -> list[bytes]:
    """Requests about texts and neighbours of stored nodes, sent as if they were new."""
    ids = graph.ids.to_pylist()
    nodes = []
    for number in range(REQUESTS * UNSEEN_NODES):
        row = number * 7919 % graph.num_nodes  # spread over the graph
        near = graph.adjacency.neighbors(row)[:NODES_AT_ONCE].tolist()
        text = graph.texts[row].as_py()[:1_000].translate(QUOTED)
        nodes.append({"text": text, "neighbors": [ids[other] for other in near]})
    groups = (nodes[start : start + UNSEEN_NODES] for start in range(0, len(nodes), UNSEEN_NODES))
    return [msgspec.json.encode({"nodes": group}) for group in groups]


QUOTED = {ord(character): " " for character in "[]="}  # a Lua string would end at "]==]"


def memory_of(bundle: Path, graph: TextGraph, *flags: str) -> list[dict[str, float]]:
    """MiB of each process, the supervisor first if there is one; see psutil for the kinds."""
    ids = graph.ids.to_pylist()[::EACH]
    with service(bundle, *flags) as server:
        for _ in range(CONNECTIONS if flags else 1):  # each worker gets some of them
            with httpx.Client(base_url=server.url, timeout=60) as client:
                for start in range(0, len(ids), NODES_AT_ONCE):
                    nodes = [{"id": node} for node in ids[start : start + NODES_AT_ONCE]]
                    client.post(CLASSIFY, json={"nodes": nodes}).raise_for_status()
        found = [process.memory_full_info() for process in server.processes]
    return [
        {kind: getattr(one, kind) / MEBIBYTE for kind in ("rss", "pss", "uss")} for one in found
    ]


def report(
    graph: str, lookups: Runs, unseen: Runs, memory: dict[str, list[dict[str, float]]]
) -> None:
    costs = {name: median(runs, "microseconds") for name, runs in lookups.items()}
    rates = {name: UNSEEN_NODES * median(runs, "per_second") for name, runs in unseen.items()}
    own = {name: median(runs, "microseconds") / UNSEEN_NODES for name, runs in unseen.items()}
    one, two = (sum(process["pss"] for process in memory[name]) for name in ("one", "two"))
    first, second = memory["one"][0], memory["two"][-1]
    ratios = {
        "lookup_by_processor_time": costs["two"] / costs["one"],
        "lookup_of_two_lone_services": costs[PAIR] / costs["one"],
        "lookups_a_second": median(lookups["two"], "per_second")
        / median(lookups["one"], "per_second"),
        "unseen_nodes_a_second": rates["two"] / rates["one"],
        "unseen_node_by_processor_time": own["two"] / own["one"],
        "private_memory_of_the_second_worker": second["uss"] / first["rss"],
        "memory_that_the_second_worker_adds": (two - one) / first["rss"],
    }
    rows = [
        ["look-up, processor µs", *(f"{costs[name]:,.1f}" for name in KINDS)],
        [
            "look-ups/s",
            *(f"{median(lookups[name], 'per_second'):,.0f}" for name in KINDS),
        ],
        ["unseen nodes/s", *(f"{rates[name]:,.0f}" for name in KINDS)],
        ["unseen node, processor µs", *(f"{own[name]:,.1f}" for name in KINDS)],
        ["memory of all processes (proportional), MiB", f"{one:,.0f}", f"{two:,.0f}"],
        ["memory of one worker (resident), MiB", f"{first['rss']:,.0f}", f"{second['rss']:,.0f}"],
        ["of it private, MiB", f"{first['uss']:,.0f}", f"{second['uss']:,.0f}"],
    ]
    table = f"Bundle of {graph}. {ABOUT}\n\n"
    header = ["", "one process", "--workers 2", "two services that are alone"]
    table += markdown_table(header, [[*row, *[""] * (len(header) - len(row))] for row in rows])
    table += "\n" + markdown_table(["ratio", ""], [[k, f"{v:.3f}"] for k, v in ratios.items()])
    rounded = {name: round(value, 4) for name, value in ratios.items()}
    results = WorkersResults(graph, rounded, lookups, unseen, UNSEEN_NODES, memory)
    publish_results("workers", results, table)


def median(runs: Sequence[LoadRun], figure: str) -> float:
    return float(statistics.median(getattr(run, figure) for run in runs))


if __name__ == "__main__":
    run_script(main)
