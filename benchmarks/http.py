"""Measures requests per second for stored nodes over HTTP, against a plain FastAPI route.

    python -m benchmarks.http BUNDLE

The servers run on one core, wrk on the other. Next to the rate, the server's processor time per
request is reported, which varies less if the machine also does other work.
"""

import statistics
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import typer

from benchmarks.common.command import check_bundle, run_script
from benchmarks.common.graphs import described
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.serving.questions import id_bodies
from benchmarks.serving.servers import CLASSIFY, Served, served, service
from benchmarks.serving.wrk import CONNECTIONS, LoadRun, wrk
from understudy.graph.snapshot import load_snapshot
from understudy.progress import terminal_progress

DECISIONS = "/v1/decisions"


@dataclass(frozen=True, slots=True)
class Throughput:
    """The content of results/http.json; by kind of request, medians over the runs."""

    graph: str
    requests_per_second: dict[str, float]
    processor_microseconds: dict[str, float]  # of the server, a request
    ratios: dict[str, float]
    runs: dict[str, list[LoadRun]]


def plain(name: str) -> AbstractContextManager[Served]:
    return served(sys.executable, "-m", "benchmarks.serving.plain_server", name)


def decisions_of(ids: Sequence[str], label_names: Sequence[str], count: int) -> list[bytes]:
    """Makes requests to a decision endpoint: one id each, with all labels as options."""
    choices = [{"value": label} for label in label_names]
    question = {"type": "choice", "instructions": "Which is it?", "choices": choices}
    return [
        msgspec.json.encode(
            {
                "model": "any",
                "input": msgspec.json.encode({"node": {"id": ids[r % len(ids)]}}).decode(),
                "questions": [question],
            }
        )
        for r in range(count)
    ]


def throughput(
    bundle: Annotated[Path, typer.Argument(help="Bundle to serve.")],
    seconds: Annotated[int, typer.Option(min=1, help="Seconds per run.")] = 5,
    rounds: Annotated[
        int, typer.Option(min=1, help="Number of runs of each; medians are reported.")
    ] = 3,
) -> None:
    """Compare stored nodes with a plain FastAPI route, on /v1/decisions, and 256 at once."""
    check_bundle(bundle, "taskset", "wrk")
    graph = load_snapshot(bundle / "graph")
    ids = graph.ids.to_pylist()
    one, many = id_bodies(ids, 1, 100), id_bodies(ids, 256, 20)
    decided = decisions_of(ids, graph.label_names, 100)
    with plain("plain") as plain_app, plain("echo") as echo_app, service(bundle) as own:
        httpx.get(f"{own.url}/health/ready").raise_for_status()
        works = (
            ("plain", plain_app, one, CLASSIFY),
            ("stored", own, one, CLASSIFY),
            ("decisions", own, decided, DECISIONS),
            ("echo", echo_app, one, CLASSIFY),
            ("stored_256", own, many, CLASSIFY),
        )
        runs: dict[str, list[LoadRun]] = {name: [] for name, *_ in works}
        with terminal_progress() as progress:
            for done in range(rounds * len(works)):
                progress("Loading the servers", done, rounds * len(works))
                name, server, bodies, path = works[done % len(works)]
                runs[name].append(wrk(server, bodies, seconds, CONNECTIONS, path))
            progress("Loading the servers", rounds * len(works), rounds * len(works))
    report(described(graph), runs)


def report(graph: str, runs: dict[str, list[LoadRun]]) -> None:
    rates = {name: statistics.median(run.per_second for run in own) for name, own in runs.items()}
    costs = {name: statistics.median(run.microseconds for run in own) for name, own in runs.items()}
    ratios = {
        "stored_over_plain": rates["stored"] / rates["plain"],
        "stored_over_plain_by_processor_time": costs["plain"] / costs["stored"],
        "decisions_over_stored": rates["decisions"] / rates["stored"],
        "decisions_over_stored_by_processor_time": costs["stored"] / costs["decisions"],
        "batch_of_256_over_one": rates["stored"] / rates["stored_256"],
        "batch_of_256_over_one_by_processor_time": costs["stored_256"] / costs["stored"],
    }
    rows = [[name, f"{rates[name]:,.0f}", f"{costs[name]:,.1f}"] for name in runs]
    table = f"Bundle of {graph}.\n\n"
    table += markdown_table(["request", "requests/s", "processor µs a request"], rows)
    table += "\n" + markdown_table(["ratio", ""], [[k, f"{v:.2f}"] for k, v in ratios.items()])
    rounded = {name: round(value, 3) for name, value in ratios.items()}
    results = Throughput(graph, rates, costs, rounded, runs)
    publish_results("http", results, table)


if __name__ == "__main__":
    run_script(throughput)
