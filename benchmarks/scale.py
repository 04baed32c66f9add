"""`understudy bench scale`: start, memory and latency over HTTP as the graph grows.

    python -m benchmarks.scale FOLDER [--sizes 10000,100000,1000000]

A random GraphSAGE of width 64 on synthetic graphs with 10 edges a node, hashed texts; weights do
not matter for speed. The graphs are drawn into FOLDER, unless they are there; the largest takes
some 6 GB of memory and a few minutes. `benchmarks.engine --scale` measures the same in process.
The service runs on one core, its client on the other.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer

from benchmarks.common.command import check_programs, run_script
from benchmarks.common.graphs import described
from benchmarks.common.machine import memory_bytes
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.errors import BenchmarkError
from benchmarks.serving.questions import Questions, classify_body, mutation_body
from benchmarks.serving.sequential import Times, one_by_one, times_of
from benchmarks.serving.servers import CLASSIFY, MUTATIONS, NO_CACHE, Served, client_core, service
from benchmarks.serving.wrk import CONNECTIONS, LoadRun, wrk
from understudy.graph.snapshot import load_snapshot
from understudy.progress import step, terminal_progress

SIZES = "10000,100000,1000000"
BODIES = 1_000  # stored nodes that are asked about in turn, all over the graph
WARM = 20  # requests of each sort that are not counted


@dataclass(frozen=True, slots=True)
class Plan:
    starts: int
    seconds: int  # of stored nodes under load
    requests: int  # about unseen nodes
    changes: int


@dataclass(frozen=True, slots=True)
class SizeResult:
    """The figures of one size of the graph."""

    graph: str  # in words
    nodes: int
    edges: int
    start_seconds: float  # median, the files in the system's cache
    peak_megabytes: float  # of the server
    anonymous_megabytes: float  # of the server, that no file backs
    stored: LoadRun
    unseen: Times
    changes: Times


@dataclass(frozen=True, slots=True)
class ScaleResults:
    """The content of results/scale.json."""

    plan: Plan
    sizes: list[SizeResult]


def scale(
    folder: Annotated[Path, typer.Argument(help="Folder in which the synthetic bundles are kept.")],
    sizes: Annotated[str, typer.Option(help="Numbers of nodes, separated by commas.")] = SIZES,
    starts: Annotated[
        int, typer.Option(min=1, help="Number of starts per size; the median is reported.")
    ] = 3,
    seconds: Annotated[int, typer.Option(min=1, help="Seconds of load on stored nodes.")] = 5,
    requests: Annotated[
        int, typer.Option(min=10, help="Number of requests about unseen nodes.")
    ] = 300,
    changes: Annotated[
        int, typer.Option(min=2, help="Number of edges added and removed again.")
    ] = 100,
) -> None:
    """Measure start, memory, stored and unseen nodes and changes as the graph grows."""
    counts = parse_sizes(sizes)
    check_programs("taskset", "wrk")
    plan = Plan(starts, seconds, requests, changes)
    rows = []
    with terminal_progress() as progress:
        for nodes in counts:
            with step(progress, f"{nodes:,} nodes"):
                rows.append(measure_size(synthetic_bundle(folder, nodes), plan))
    text = report(rows)
    publish_results("scale", ScaleResults(plan, rows), text)


def parse_sizes(text: str) -> list[int]:
    """Parses numbers of nodes, separated by commas.

    Raises:
        BenchmarkError: something else.
    """
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 100:
        raise BenchmarkError(f"--sizes takes numbers of 100 or more between commas, not {text!r}")
    return counts


def synthetic_bundle(folder: Path, nodes: int) -> Path:
    """Makes the bundle of a size, unless it exists.

    Raises:
        BenchmarkError: this is no checkout: the random students are those of the tests.
    """
    try:
        from benchmarks.common.random_bundle import make_bundle
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("tests"):
            raise
        raise BenchmarkError("bench scale runs in a checkout, whose tests draw students") from error
    folder.mkdir(parents=True, exist_ok=True)
    return make_bundle(folder / f"synthetic-{nodes}", nodes)


def measure_size(bundle: Path, plan: Plan) -> SizeResult:
    """Measures start, memory, reads and changes at one size."""
    graph = load_snapshot(bundle / "graph")
    questions = Questions(graph)
    seconds = [start_seconds(bundle) for _ in range(plan.starts - 1)]
    started = time.perf_counter()
    with service(bundle, *NO_CACHE) as server:
        httpx.get(f"{server.url}/health/ready").raise_for_status()
        seconds.append(time.perf_counter() - started)
        with client_core():
            stored = ask_stored(server, questions, plan)
            unseen = ask_unseen(server, questions, plan)
            changed = make_changes(server, questions, plan)
        memory = memory_bytes(server.process.pid)
    return SizeResult(
        graph=described(graph),
        nodes=graph.num_nodes,
        edges=graph.adjacency.num_edges,
        start_seconds=statistics.median(seconds),
        peak_megabytes=memory["VmHWM"] / 1e6,
        anonymous_megabytes=memory["RssAnon"] / 1e6,
        stored=stored,
        unseen=unseen,
        changes=changed,
    )


def start_seconds(bundle: Path) -> float:
    """Seconds from the command to readiness, with the files in the system's cache."""
    started = time.perf_counter()
    with service(bundle, *NO_CACHE) as server:
        httpx.get(f"{server.url}/health/ready").raise_for_status()
        return time.perf_counter() - started


def ask_stored(server: Served, questions: Questions, plan: Plan) -> LoadRun:
    bodies = [classify_body([node]) for node in questions.nodes("stored", BODIES)]
    return wrk(server, bodies, plan.seconds, CONNECTIONS, CLASSIFY)


def ask_unseen(server: Served, questions: Questions, plan: Plan) -> Times:
    bodies = [classify_body([node]) for node in questions.nodes("unseen", WARM + plan.requests)]
    one_by_one(server, CLASSIFY, bodies[:WARM])
    return times_of([one_by_one(server, CLASSIFY, bodies[WARM:])])


def make_changes(server: Served, questions: Questions, plan: Plan) -> Times:
    """Times edges that are added one after the other, and then removed."""
    edges = questions.edges(plan.changes)
    bodies = [mutation_body(edge, kind) for kind in ("add_edge", "remove_edge") for edge in edges]
    return times_of([one_by_one(server, MUTATIONS, bodies)])


def report(rows: Sequence[SizeResult]) -> str:
    cells = [
        [
            f"{row.nodes:,}",
            f"{row.edges:,}",
            f"{row.start_seconds:.1f}",
            f"{row.peak_megabytes:,.0f}",
            f"{row.anonymous_megabytes:,.0f}",
            f"{row.stored.per_second:,.0f}",
            f"{row.stored.microseconds:,.0f}",
            *(
                f"{value:.2f}"
                for times in (row.unseen, row.changes)
                for value in (times.p50, times.p99, times.processor_ms)
            ),
        ]
        for row in rows
    ]
    header = (
        "nodes", "edges", "start, s", "peak, MB", "of no file, MB", "stored, requests/s",
        "processor µs", "unseen, p50 ms", "p99", "processor", "a change, p50 ms", "p99",
        "processor",
    )  # fmt: skip
    return (
        "Growth over HTTP, a random GraphSAGE of width 64 on synthetic graphs, hashed texts: start "
        "to ready with the files in the system's cache, memory of the server, stored nodes at "
        f"{CONNECTIONS} connections, unseen nodes and changes of one edge one after the other.\n\n"
        + markdown_table(header, cells)
    )


if __name__ == "__main__":
    run_script(scale)
