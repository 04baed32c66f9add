"""The whole line on one synthetic graph: every stage its own process, by the commands of a user.

    python -m benchmarks.line_at_scale FOLDER [--nodes 1000000] [--edges 10000000]

Draws a graph, distils a student of hashed texts in batches of drawn neighbours, exports it, serves
it, and asks about a stored and an unseen node and makes a change. A size that is measured again
takes the place of its own figures; the others stay in the results. A hundredth of the nodes has
labels, as is usual where there are many.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from benchmarks.engine_scale import memory_bytes
from benchmarks.errors import BenchmarkError
from benchmarks.measure import RESULTS, check_programs, markdown_table, run_script, write_results
from benchmarks.one_by_one import body, change, one_by_one, times_of
from benchmarks.questions import Questions
from benchmarks.servers import CLASSIFY, MUTATIONS, NO_CACHE, Served, service
from understudy.graph.snapshot import load_snapshot

NAME = "line_at_scale"
STUDENT = ("--encoder", "hashing", "--batch-size", "1024", "--fanout", "5", "--layers", "2")
LEAST = 100_000  # nodes; of fewer, what every process takes hides what a node does
ASKED = 50  # of each sort of request
SERVE = "serve"
LARGER = (10_000_000, 100_000_000, 1_000_000_000)  # nodes, told of and not measured


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stage took, and what it left on the disk."""

    seconds: float
    processor_seconds: float
    peak_bytes: int
    disk_bytes: int


def main(
    folder: Annotated[Path, typer.Argument(help="Where graph, student and bundle are written.")],
    nodes: Annotated[int, typer.Option(min=1_000, help="Of the graph.")] = 1_000_000,
    edges: Annotated[int, typer.Option(min=1_000, help="Of the graph.")] = 10_000_000,
    labeled: Annotated[float, typer.Option(min=0, max=1, help="Share of nodes.")] = 0.01,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the student.")] = 32,
    epochs: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure, print and write results/line_at_scale.json."""
    check_programs("taskset")
    folder.mkdir(parents=True, exist_ok=True)
    graph, student, bundle = (folder / name for name in ("graph", "student", "bundle"))
    stages = {
        "draw": spent(
            graph, "data", "synthetic", graph, "--nodes", nodes, "--mean-degree",
            2 * edges / nodes, "--labeled", labeled,
        ),
        "distill": spent(
            student, "distill", graph, student, *STUDENT, "--hidden", hidden, "--epochs", epochs
        ),
        "export": spent(bundle, "export", student, bundle),
    }  # fmt: skip
    figures = {name: asdict(stage) for name, stage in stages.items()}
    figures[SERVE] = serve(bundle)
    metrics = json.loads((student / "metrics.json").read_text(encoding="utf-8"))
    sizes = known_sizes() | {
        str(nodes): {
            "nodes": nodes,
            "edges": edges,
            "labeled": labeled,
            "hidden": hidden,
            "epochs": epochs,
            "val_accuracy": metrics["val_accuracy"],
            "stages": figures,
        }
    }
    ordered = dict(sorted(sizes.items(), key=lambda pair: int(pair[0])))
    text = report(ordered)
    write_results(NAME, {"sizes": ordered}, text)
    typer.echo(text)


def spent(out: Path, *words: object) -> Spent:
    """One command of `understudy`, from its start to its end.

    Raises:
        BenchmarkError: it failed; it has said why.
    """
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "understudy", *map(str, words)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(f"understudy {words[0]} ended with status {process.returncode}")
    return Spent(
        seconds=time.perf_counter() - started,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=1024 * usage.ru_maxrss,
        disk_bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
    )


def serve(bundle: Path) -> dict[str, Any]:
    """Starting the service, its answers, and its memory before and after them."""
    questions = Questions(load_snapshot(bundle / "graph"))
    started = time.perf_counter()
    with service(bundle, *NO_CACHE, cores="0,1") as server:
        httpx.get(f"{server.url}/health/ready", timeout=600).raise_for_status()
        seconds, processor = time.perf_counter() - started, server.processor_seconds
        asked = requests(server, questions)
        memory = memory_bytes(server.process.pid)
    return {
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_bytes": memory["VmHWM"],
        "anonymous_bytes": memory["RssAnon"],
        "disk_bytes": 0,
        **asked,
    }


def requests(server: Served, questions: Questions) -> dict[str, dict[str, float]]:
    """Times of stored and unseen nodes and of changes of an edge, one after the other."""
    edges = questions.edges(ASKED)
    bodies = {
        "stored": (CLASSIFY, [body([node]) for node in questions.nodes("stored", ASKED)]),
        "unseen": (CLASSIFY, [body([node]) for node in questions.nodes("unseen", ASKED)]),
        "changes": (MUTATIONS, [change(edge, "add_edge") for edge in edges]),
    }
    return {
        name: asdict(times_of([one_by_one(server, path, own)]))
        for name, (path, own) in bodies.items()
    }


def known_sizes() -> dict[str, Any]:
    """What was measured before."""
    path = RESULTS / f"{NAME}.json"
    if not path.is_file():
        return {}
    sizes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["sizes"]
    return sizes


def extrapolated(
    sizes: Mapping[str, Mapping[str, Any]], stage: str, figure: str, nodes: int
) -> float:
    """A stage's figure at another size: the straight line through the two largest that are known.

    Edges grow with nodes, so that lines hold for both; sorting, whose cost grows faster, is a small
    part of every stage.
    """
    (small, low), (large, high) = (
        (size["nodes"], size["stages"][stage][figure]) for size in list(sizes.values())[-2:]
    )
    return float(low + (high - low) * (nodes - small) / (large - small))


def extrapolations(sizes: Mapping[str, Mapping[str, Any]]) -> str:
    """A table of larger sizes; empty where fewer than two are known that tell of them."""
    sizes = {name: size for name, size in sizes.items() if size["nodes"] >= LEAST}
    if len(sizes) < 2:
        return ""
    rows = [
        [
            f"{nodes:,}",
            stage,
            f"{extrapolated(sizes, stage, 'processor_seconds', nodes):,.0f}",
            f"{extrapolated(sizes, stage, 'peak_bytes', nodes) / 1e9:,.1f}",
            f"{extrapolated(sizes, stage, 'disk_bytes', nodes) / 1e9:,.1f}",
        ]
        for nodes in LARGER
        for stage in next(iter(sizes.values()))["stages"]
    ]
    header = ("nodes", "stage", "processor s", "peak, GB", "on disk, GB")
    return (
        "\nNot measured, but on the straight line through the two largest sizes above, with as "
        "many edges a node and the same share of labels:\n\n" + markdown_table(header, rows)
    )


def report(sizes: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of the stages, of the requests to the service, and of larger sizes."""
    stages, asked = [], []
    for size in sizes.values():
        for name, stage in size["stages"].items():
            stages.append(
                [
                    f"{size['nodes']:,}",
                    f"{size['edges']:,}",
                    name,
                    f"{stage['seconds']:,.0f}",
                    f"{stage['processor_seconds']:,.0f}",
                    f"{stage['peak_bytes'] / 1e9:.2f}",
                    f"{stage['disk_bytes'] / 1e9:.3f}",
                ]
            )
        served = size["stages"][SERVE]
        times = (f"{served[sort]['p50']:.2f}" for sort in ("stored", "unseen", "changes"))
        asked.append([f"{size['nodes']:,}", *times, f"{served['anonymous_bytes'] / 1e9:.2f}"])
    header = ("nodes", "edges", "stage", "seconds", "processor s", "peak, GB", "on disk, GB")
    of_service = (
        "nodes",
        "a stored node, ms",
        "an unseen one, ms",
        "a change, ms",
        "of no file, GB",
    )
    return (
        "The whole line, each stage a process of its own; `serve` is until it is ready, and its "
        "memory holds pages of mapped files that are not its own.\n\n"
        + markdown_table(header, stages)
        + "\nThe service, one request after the other, median:\n\n"
        + markdown_table(of_service, asked)
        + extrapolations(sizes)
    )


if __name__ == "__main__":
    run_script(main)
