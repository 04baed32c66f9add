"""`understudy demo`: the whole main job with the real commands, from a graph to answers.

Every step is a command that is printed before it runs, so that it can be copied.
"""

import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.json import JSON
from rich.table import Table

from understudy.command_line.subcommands import run_command
from understudy.folders.errors import cache_errors
from understudy.graph.files import cache_folder

REPEATS = 200  # requests a kind, for the table of times
console = Console()


class Dataset(StrEnum):
    debian = "debian"
    synthetic = "synthetic"


class Encoder(StrEnum):
    minilm = "minilm"
    hashing = "hashing"


@dataclass(frozen=True, slots=True)
class Example:
    """What is asked of the service: a stored node, and one that it has never seen."""

    stored: str
    text: str
    neighbors: tuple[str, ...]


EXAMPLES = {
    Dataset.debian: Example("curl", "a fast JSON parser", ("libc6", "libstdc++6")),
}


def demo(
    dataset: Annotated[
        Dataset,
        typer.Option(
            help="Graph to build: debian (from this machine's apt index) or synthetic (runs "
            "anywhere)."
        ),
    ] = Dataset.debian,
    nodes: Annotated[
        int, typer.Option(min=500, help="Maximum number of nodes of the graph.")
    ] = 6_000,
    encoder: Annotated[
        Encoder,
        typer.Option(
            help="Text encoder: minilm, or hashing, which answers unseen nodes faster but less "
            "accurately."
        ),
    ] = Encoder.minilm,
    out: Annotated[Path, typer.Option(help="Folder for all results.")] = Path("runs/demo"),
    keep: Annotated[bool, typer.Option(help="Keep the service running at the end.")] = False,
) -> None:
    """Build a graph, ask a teacher, distil a student, export it, serve it, and ask it."""
    started = time.monotonic()
    check_cache()
    make_graph(dataset, nodes, out)
    run("teach", out / "graph", out / "teacher", *QUICK_TEACHER)
    taught = ("--teacher", out / "teacher", "--encoder", encoder, *QUICK_TRAINING)
    run("distill", out / "graph", out / "student", *taught)
    run("export", out / "student", out / "bundle", *QUICK_EXPORT)
    with served(out / "bundle", keep) as url, httpx.Client(base_url=url, timeout=30) as client:
        example = EXAMPLES.get(dataset) or synthetic_example(out / "graph")
        ask(client, example)
        console.print(times(client, example))
        console.print(f"From nothing to answers in {time.monotonic() - started:.0f} s.")
        if keep:
            console.print(
                f"\n[bold]Open {url} in a browser[/bold]: the page of what was made. "
                f"Routes are described at {url}/docs. Control-C ends the service."
            )
        else:
            console.print(
                f"To see its page, run `understudy serve {out / 'bundle'}` and open the address "
                "that it prints."
            )


# What fits the demo's few minutes on two cores. The defaults tune the whole teacher, ask it about
# every node and more of the neighbourhood, train longer, and try a faster int8 text encoder.
QUICK_TEACHER = ("--frozen", "--hops", "0,1", "--tokens", "64", "--max-nodes", "3000")
QUICK_TRAINING = ("--epochs", "100", "--patience", "20")
QUICK_EXPORT = ("--encoder-precision", "fp32")


def check_cache() -> None:
    """Tries to write to the cache, which the student's training needs after minutes.

    Raises:
        OutputUnwritableError, SourceError: it cannot be written, or there is no place for it.
    """
    folder = cache_folder()
    with cache_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"trial")


def make_graph(dataset: Dataset, nodes: int, out: Path) -> None:
    if dataset is Dataset.synthetic:
        console.print("Data: a synthetic graph; its texts and labels are generated, not real.")
        run("data", "synthetic", out / "graph", "--nodes", nodes, "--force")
        return
    if shutil.which("apt-get") is None:
        typer.secho(
            "error: the Debian graph is built from this machine's apt index, and there is no "
            "apt-get here; run `scripts/demo --dataset synthetic` instead",
            fg="red",
            err=True,
        )
        raise typer.Exit(1)
    console.print("Data: the package graph of this machine's own apt index.")
    run("data", "debian", out / "graph", "--nodes-limit", nodes, "--force")


def run(*words: object) -> None:
    """Runs one understudy command, shown as it would be typed."""
    arguments = [str(word) for word in words]
    console.print(f"\n[bold]$ understudy {shlex.join(arguments)}[/bold]", highlight=False)
    if status := run_command(*arguments):
        raise typer.Exit(status)


@contextmanager
def served(bundle: Path, keep: bool) -> Iterator[str]:
    """Serves a bundle on a free port and yields its URL once it is ready."""
    command = ["serve", str(bundle), "--port", "8000" if keep else "0"]
    console.print(f"\n[bold]$ understudy {shlex.join(command)}[/bold]", highlight=False)
    server = subprocess.Popen(
        [sys.executable, "-m", "understudy", *command],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield listening_url(server)
        if keep:
            server.wait()
    except KeyboardInterrupt:
        if not keep:
            raise
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


def listening_url(server: "subprocess.Popen[str]") -> str:
    """The URL that the server prints once it listens."""
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"http://\S+", line)
        if found:
            return found.group().rstrip("/")
    typer.secho("error: the service ended before it listened", fg="red", err=True)
    raise typer.Exit(server.wait())


def synthetic_example(graph_folder: Path) -> Example:
    """A stored node and an invented one, with a stored node's words and neighbours."""
    from understudy.graph import load_graph

    graph = load_graph(graph_folder)
    first = graph.adjacency.neighbors(0)[:2].tolist()
    neighbors = tuple(graph.ids[index].as_py() for index in first)
    return Example(graph.ids[0].as_py(), graph.texts[0].as_py(), neighbors)


def ask(client: httpx.Client, example: Example) -> None:
    """Sends one request for both nodes and prints it with its answer."""
    request = {"nodes": [stored_item(example), unseen_item(example)], "top_k": 3}
    response = client.post("/classify", json=request)
    response.raise_for_status()
    console.print("\n[bold]POST /classify[/bold]")
    console.print(JSON.from_data(request))
    console.print("[bold]answers[/bold]")
    console.print(JSON.from_data(response.json()))


def stored_item(example: Example) -> dict[str, Any]:
    return {"id": example.stored}


def unseen_item(example: Example) -> dict[str, Any]:
    return {"text": example.text, "neighbors": list(example.neighbors)}


def times(client: httpx.Client, example: Example) -> Table:
    """Medians over HTTP, one request at a time, beside the service's own account of its work."""
    table = Table(
        "one node a request", "over HTTP", "of it, computing", title=f"Medians of {REPEATS}, ms"
    )
    for name, item in (("stored", stored_item(example)), ("unseen", unseen_item(example))):
        total, computing = measure(client, {"nodes": [item]})
        table.add_row(name, f"{total:.2f}", f"{computing:.2f}")
    return table


def measure(client: httpx.Client, request: dict[str, Any]) -> tuple[float, float]:
    """Median milliseconds of a request: in all, and of encoding and inference."""
    totals: list[float] = []
    computing: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        response = client.post("/classify", json=request)
        totals.append(1000 * (time.perf_counter() - started))
        computing.append(milliseconds(response, ("x-encode-time", "x-inference-time")))
    return statistics.median(totals), statistics.median(computing)


def milliseconds(response: httpx.Response, names: Sequence[str]) -> float:
    response.raise_for_status()
    return sum(float(response.headers.get(name, 0)) for name in names)
