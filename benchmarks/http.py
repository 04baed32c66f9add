"""Throughput over HTTP: the server on one core, wrk on the other.

Beside the rate, the server's own processor time a request is told: on a machine that does other
work, too, it is the steadier figure.

python -m benchmarks.http runs/demo/bundle
"""

import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import psutil
import typer

from benchmarks.errors import BenchmarkError
from benchmarks.measure import check_means, described, markdown_table, run_script, write_results
from understudy.graph.progress import terminal_progress
from understudy.graph.snapshot import load_snapshot

CONNECTIONS = 16
CLASSIFY, DECISIONS = "/classify", "/v1/decisions"
SERVER_CORE, CLIENT_CORE = "0", "1"
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local bodies = {{ {bodies} }}
local next = 0
request = function()
    next = next % #bodies + 1
    return wrk.format(nil, "{path}", nil, bodies[next])
end
"""


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    process: psutil.Process

    @property
    def processes(self) -> list[psutil.Process]:
        """The server's, and its workers' in their order."""
        return [self.process, *sorted(self.process.children(), key=lambda child: child.pid)]

    @property
    def processor_seconds(self) -> float:
        times = [process.cpu_times() for process in self.processes]
        return float(sum(one.user + one.system for one in times))


@contextmanager
def served(*command: str, cores: str = SERVER_CORE) -> Iterator["Served"]:
    """A server process on the first core.

    Args:
        cores: others to run on, with commas.

    Raises:
        BenchmarkError: it does not start; it has said why.
    """
    process = subprocess.Popen(
        ["taskset", "-c", cores, *command], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\w.:]+", process.stdout.readline())
        if found is None:
            raise BenchmarkError("a server ended before it listened; it says why above")
        yield Served(found.group(), psutil.Process(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def service(bundle: Path, *flags: str, cores: str = SERVER_CORE) -> AbstractContextManager[Served]:
    command = (sys.executable, "-m", "understudy", "serve", str(bundle), "--port", "0", *flags)
    return served(*command, cores=cores)


def plain(name: str) -> AbstractContextManager[Served]:
    return served(sys.executable, "-m", "benchmarks.plain_server", name)


@dataclass(frozen=True, slots=True)
class Run:
    per_second: float
    microseconds: float  # of the server's processor, a request


def wrk(
    server: Served,
    bodies: Sequence[bytes],
    seconds: int,
    connections: int,
    path: str,
    cores: str = CLIENT_CORE,
) -> Run:
    """Loads a server.

    Args:
        cores: that the load comes from.

    Raises:
        BenchmarkError: an answer was no success, or wrk failed.
    """
    before = server.processor_seconds
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        quoted = ", ".join(f"[==[{body.decode()}]==]" for body in bodies)
        script.write_text(LUA.format(bodies=quoted, path=path))
        command = ["taskset", "-c", cores, "wrk", "-t1", f"-c{connections}"]
        options = [f"-d{seconds}s", "-s", str(script), server.url]
        result = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if result.returncode or "Non-2xx" in result.stdout:
        raise BenchmarkError(f"wrk says: {result.stdout} {result.stderr}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    count = re.search(r"(\d+) requests in", result.stdout)
    assert rate is not None
    assert count is not None
    used = server.processor_seconds - before
    return Run(float(rate[1]), 1e6 * used / int(count[1]))


def bodies_of(ids: Sequence[str], batch: int, count: int) -> list[bytes]:
    """Requests about `batch` ids each, all different."""
    return [
        msgspec.json.encode(
            {"nodes": [{"id": ids[(r * batch + n) % len(ids)]} for n in range(batch)]}
        )
        for r in range(count)
    ]


def decisions_of(ids: Sequence[str], label_names: Sequence[str], count: int) -> list[bytes]:
    """The same for one id each, as questions of a decision endpoint among all labels."""
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
    seconds: Annotated[int, typer.Option(min=1, help="Of each run.")] = 5,
    rounds: Annotated[int, typer.Option(help="Runs of each; medians are told.")] = 3,
) -> None:
    """Compare stored nodes with a plain FastAPI route, on /v1/decisions, and 256 at once."""
    check_means(bundle, "taskset", "wrk")
    graph = load_snapshot(bundle / "graph")
    ids = graph.ids.to_pylist()
    one, many = bodies_of(ids, 1, 100), bodies_of(ids, 256, 20)
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
        runs: dict[str, list[Run]] = {name: [] for name, *_ in works}
        with terminal_progress() as progress:
            for done in range(rounds * len(works)):
                progress("Loading the servers", done, rounds * len(works))
                name, server, bodies, path = works[done % len(works)]
                runs[name].append(wrk(server, bodies, seconds, CONNECTIONS, path))
            progress("Loading the servers", rounds * len(works), rounds * len(works))
    report(described(graph), runs)


def report(graph: str, runs: Mapping[str, Sequence[Run]]) -> None:
    rates = {name: statistics.median(run.per_second for run in own) for name, own in runs.items()}
    costs = {name: statistics.median(run.microseconds for run in own) for name, own in runs.items()}
    ratios = {
        "stored_over_plain": rates["stored"] / rates["plain"],
        "stored_over_plain_by_processor_time": costs["plain"] / costs["stored"],
        "decisions_over_stored": rates["decisions"] / rates["stored"],
        "batch_of_256_over_one": rates["stored"] / rates["stored_256"],
        "batch_of_256_over_one_by_processor_time": costs["stored_256"] / costs["stored"],
    }
    rows = [[name, f"{rates[name]:,.0f}", f"{costs[name]:,.1f}"] for name in runs]
    table = f"Bundle of {graph}.\n\n"
    table += markdown_table(["request", "requests/s", "processor µs a request"], rows)
    table += "\n" + markdown_table(["ratio", ""], [[k, f"{v:.2f}"] for k, v in ratios.items()])
    typer.echo(table)
    results = {
        "graph": graph,
        "requests_per_second": rates,
        "processor_microseconds": costs,
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "runs": {name: [asdict(run) for run in own] for name, own in runs.items()},
    }
    write_results("http", results, table)


if __name__ == "__main__":
    run_script(throughput)
