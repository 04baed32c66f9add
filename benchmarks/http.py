"""Throughput over HTTP: the server on one core, wrk on the other.

python -m benchmarks.http runs/demo/bundle
"""

import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import typer

from benchmarks.measure import markdown_table, write_results
from graph.snapshot import load_snapshot

CONNECTIONS = 16
SERVER_CORE, CLIENT_CORE = "0", "1"
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local bodies = {{ {bodies} }}
local next = 0
request = function()
    next = next % #bodies + 1
    return wrk.format(nil, "/classify", nil, bodies[next])
end
"""


@contextmanager
def served(*command: str) -> Iterator[str]:
    """A server process on the first core; yields its URL."""
    process = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\w.:]+", process.stdout.readline())
        assert found is not None
        yield found.group()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def service(bundle: Path, *flags: str) -> Any:
    return served(sys.executable, "-m", "understudy", "serve", str(bundle), "--port", "0", *flags)


def plain(name: str) -> Any:
    return served(sys.executable, "-m", "benchmarks.plain_server", name)


def wrk(url: str, bodies: Sequence[bytes], seconds: float, connections: int) -> dict[str, float]:
    """Requests per second and the 99th percentile of latency, ms.

    Raises:
        RuntimeError: an answer was no success.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        quoted = ", ".join(f"[==[{body.decode()}]==]" for body in bodies)
        script.write_text(LUA.format(bodies=quoted))
        command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}"]
        options = [f"-d{seconds:g}s", "--latency", "-s", str(script), url]
        result = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    if "Non-2xx" in result.stdout:
        raise RuntimeError(result.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", result.stdout)
    assert rate is not None
    assert slow is not None
    factor = {"us": 0.001, "ms": 1.0, "s": 1000.0}[slow[2]]
    return {"per_second": float(rate[1]), "p99_ms": float(slow[1]) * factor}


def bodies_of(ids: Sequence[str], batch: int, count: int) -> list[bytes]:
    """Requests about `batch` ids each, all different."""
    return [
        msgspec.json.encode(
            {"nodes": [{"id": ids[(r * batch + n) % len(ids)]} for n in range(batch)]}
        )
        for r in range(count)
    ]


def throughput(
    bundle: Annotated[Path, typer.Argument(help="Bundle to serve.")],
    seconds: Annotated[float, typer.Option(help="Of each run.")] = 5.0,
    rounds: Annotated[int, typer.Option(help="Runs of each; medians are told.")] = 3,
) -> None:
    """Compare stored nodes with a plain FastAPI route, and a batch of 256 with one."""
    ids = load_snapshot(bundle / "graph").ids.to_pylist()
    one, many = bodies_of(ids, 1, 100), bodies_of(ids, 256, 20)
    rates: dict[str, list[float]] = {"plain": [], "echo": [], "stored": [], "stored_256": []}
    with plain("plain") as plain_url, plain("echo") as echo_url, service(bundle) as url:
        httpx.get(f"{url}/health/ready").raise_for_status()
        runs = (
            ("plain", plain_url, one),
            ("stored", url, one),
            ("echo", echo_url, one),
            ("stored_256", url, many),
        )
        for _ in range(rounds):
            for name, target, bodies in runs:
                result = wrk(target, bodies, seconds, CONNECTIONS)
                rates[name].append(result["per_second"])
    medians = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    ratios = {
        "stored_over_plain": round(medians["stored"] / medians["plain"], 3),
        "batch_of_256_over_one": round(medians["stored"] / medians["stored_256"], 2),
    }
    rows = [[name, f"{value:,.0f}"] for name, value in medians.items()]
    table = markdown_table(["POST /classify", "requests/s"], rows)
    said = (
        f"\nOne stored id: {ratios['stored_over_plain']:.2f} times the plain FastAPI route. "
        f"256 ids cost {ratios['batch_of_256_over_one']:.1f} times one id.\n"
    )
    print(table + said)  # noqa: T201
    write_results("http", {"requests_per_second": medians, "runs": rates, **ratios}, table + said)


if __name__ == "__main__":
    typer.run(throughput)
