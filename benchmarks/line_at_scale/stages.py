"""Measures time, memory and disk of every stage on one synthetic graph, with users' commands.

    python -m benchmarks.line_at_scale FOLDER [--nodes 1000000] [--edges 10000000]

Draws a graph, writes it as a user's Parquet tables, imports these, distils a student on hashed
texts in batches of sampled neighbours, exports it, serves it, asks about stored and unseen nodes,
and changes edges. One node in a hundred has a label, as is usual in large graphs. The figures of a
stage are written when it ends, so an interrupted run can be continued with `--begin STAGE`. A size
that is measured again replaces its earlier figures; those of other sizes stay. `--before CHECKOUT`
measures only distilling, with the code of another checkout. `--plan` only records what
`understudy plan` estimates for distilling and exporting.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.common.command import check_programs
from benchmarks.common.machine import memory_bytes
from benchmarks.common.results import RESULTS, read_results, write_results
from benchmarks.errors import BenchmarkError
from benchmarks.line_at_scale.records import (
    Cost,
    LineResults,
    RequestTimes,
    Size,
    StageFigures,
)
from benchmarks.line_at_scale.report import report
from benchmarks.serving.questions import Questions, classify_body, mutation_body
from benchmarks.serving.sequential import one_by_one, times_of
from benchmarks.serving.servers import CLASSIFY, MUTATIONS, NO_CACHE, Served, service
from understudy.graph.folder import read_meta
from understudy.graph.snapshot import load_snapshot

NAME = "line_at_scale"
STUDENT = ("--encoder", "hashing", "--batch-size", "1024", "--fanout", "5", "--layers", "2")
ROWS_A_STEP = 2**20  # of a table, while it is written
PLAIN: dict[str, Any] = {"compression": "lz4", "use_dictionary": False}  # quick to write
REQUESTS_EACH = 50  # of each sort of request
STAGES = ("draw", "import", "distill", "export", "serve")
DISTILL = STAGES[2]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stage took, and the size of what it wrote."""

    seconds: float
    processor_seconds: float
    peak_bytes: int
    disk_bytes: int

    @property
    def figures(self) -> StageFigures:
        return cast(StageFigures, asdict(self))


@dataclass(frozen=True, slots=True)
class LineOptions:
    nodes: int
    edges: int
    labeled: float = 0.01  # share of nodes
    hidden: int = 32
    epochs: int = 3


@dataclass
class Line:
    """The measurement of one size; the figures of a stage are written when it ends.

    Attributes:
        stages: figures of the stages that have ended.
    """

    folder: Path
    options: LineOptions
    stages: dict[str, StageFigures] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / name

    def ended(self, stage: str, figures: StageFigures) -> None:
        """Writes results/line_at_scale.json and .md with this stage."""
        self.stages[stage] = figures
        self.write(stages=self.stages)
        typer.echo(f"{self.options.nodes:,} nodes, {stage}: {json.dumps(figures)}")

    def write(
        self,
        stages: dict[str, StageFigures] | None = None,
        planned: dict[str, Cost] | None = None,
    ) -> None:
        """Writes the figures of this size, next to those of the other sizes."""
        name, sizes = str(self.options.nodes), known_sizes()
        size: Size = {"stages": {}, "nodes": self.options.nodes, "edges": self.options.edges}
        size.update(sizes.get(name, size))
        size.update(cast(Size, asdict(self.options)))
        if stages is not None:
            size["stages"] = stages
        if planned is not None:
            size["planned"] = planned
        sizes[name] = size
        ordered = dict(sorted(sizes.items(), key=lambda pair: int(pair[0])))
        write_results(NAME, {"sizes": ordered}, report(ordered))


def main(
    folder: Annotated[Path, typer.Argument(help="Folder for all intermediate results.")],
    nodes: Annotated[int, typer.Option(min=1_000, help="Nodes of the graph.")] = 1_000_000,
    edges: Annotated[int, typer.Option(min=1_000, help="Edges of the graph.")] = 10_000_000,
    labeled: Annotated[
        float, typer.Option(min=0, max=1, help="Share of nodes with a label.")
    ] = 0.01,
    hidden: Annotated[int, typer.Option(min=1, help="Width of the student.")] = 32,
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    begin: Annotated[str, typer.Option(help=f"First stage to run: {', '.join(STAGES)}.")] = STAGES[
        0
    ],
    before: Annotated[
        Path | None, typer.Option(help="A checkout whose `distill` is measured, and nothing else.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Ask `understudy plan` of the graph, and nothing else.")
    ] = False,
) -> None:
    """Measure, print and write results/line_at_scale.json."""
    check_programs("taskset")
    if begin not in STAGES:
        raise BenchmarkError(f"--begin {begin}: choose from {', '.join(STAGES)}")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    options = LineOptions(nodes, edges, labeled, hidden, epochs)
    size = known_sizes().get(str(nodes))
    known = {} if size is None else size["stages"]
    if before is not None:
        line = Line(folder, options, known)
        line.ended(f"{DISTILL} at {commit_of(before)}", distilled(line, before))
        return
    if plan:
        Line(folder, options).write(planned=planned(folder / "graph", hidden, epochs))
        return
    left = list(WORKS)[list(WORKS).index(begin) :]
    line = Line(folder, options, {name: known[name] for name in known if name not in left})
    for stage in left:
        line.ended(stage, WORKS[stage](line))
    typer.echo((RESULTS / f"{NAME}.md").read_text(encoding="utf-8"))


def drawn(line: Line) -> StageFigures:
    options = line.options
    degree = 2 * options.edges / options.nodes
    words = ("--nodes", options.nodes, "--mean-degree", degree)
    out = line.path("drawn")
    taken = spent(out, "data", "synthetic", out, *words, "--labeled", options.labeled)
    write_tables(out, line.path("tables"))
    return taken.figures


def imported(line: Line) -> StageFigures:
    tables, out = line.path("tables"), line.path("graph")
    files = ("--nodes", tables / "nodes.parquet", "--edges", tables / "edges.parquet")
    return spent(out, "data", "import", out, *files).figures


def distilled(line: Line, checkout: Path | None = None) -> StageFigures:
    """Distils with this code, or with that of another checkout."""
    out = line.path("student" if checkout is None else "student-before")
    sizes = ("--hidden", line.options.hidden, "--epochs", line.options.epochs)
    taken = spent(out, "distill", line.path("graph"), out, *STUDENT, *sizes, checkout=checkout)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return {
        **taken.figures,
        "val_accuracy": metrics["val_accuracy"],
        "test_accuracy": metrics["test_accuracy"],
        "epochs": metrics["epochs"],
        "epoch_seconds": metrics["seconds"] / metrics["epochs"],
    }


def exported(line: Line) -> StageFigures:
    return spent(line.path("bundle"), "export", line.path("student"), line.path("bundle")).figures


def planned(graph: Path, hidden: int, epochs: int) -> dict[str, Cost]:
    """What `understudy plan` estimates for distilling and exporting, by the names used here."""
    sizes = ("--layers", "2", "--hidden", hidden, "--epochs", epochs)
    words = ("plan", graph, "--json", "--encoder", "hashing", "--batches", "--fanout", "5", *sizes)
    command = [sys.executable, "-m", "understudy", *map(str, words)]
    finished = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if finished.returncode:
        raise BenchmarkError(f"understudy plan ended with status {finished.returncode}")
    stages = {stage["name"].split()[0]: stage for stage in json.loads(finished.stdout)}
    stages[DISTILL]["seconds"] += stages["hash"]["seconds"]  # which the command does, too
    return {
        name: {
            "processor_seconds": stages[name]["seconds"],
            "peak_bytes": stages[name]["memory"],
            "disk_bytes": stages[name]["disk"],
        }
        for name in STAGES
        if name in stages
    }


def write_tables(graph: Path, folder: Path) -> None:
    """Writes nodes and edges as a user has them: Parquet files with names instead of numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = pa.array(read_meta(graph)["label_names"])
    source = pq.ParquetFile(graph / "nodes.parquet")
    ids = []
    schema = pa.schema({"id": pa.string(), "text": pa.string(), "label": pa.string()})
    with pq.ParquetWriter(folder / "nodes.parquet", schema, **PLAIN) as writer:
        for batch in source.iter_batches(ROWS_A_STEP, columns=["id", "text", "label"]):
            of_class = batch["label"].to_numpy()
            known_rows = pa.array(of_class, mask=of_class < 0)
            columns = [batch["id"], batch["text"], labels.take(known_rows)]
            ids.append(columns[0])
            writer.write_table(pa.table(dict(zip(schema.names, columns, strict=True))).cast(schema))
    names = pa.concat_arrays(ids)
    schema = pa.schema({"source": pa.string(), "target": pa.string()})
    with pq.ParquetWriter(folder / "edges.parquet", schema, **PLAIN) as writer:
        for batch in pq.ParquetFile(graph / "edges.parquet").iter_batches(ROWS_A_STEP):
            ends = {name: names.take(batch[name]) for name in schema.names}
            writer.write_table(pa.table(ends).cast(schema))


# A process inherits the peak memory of its parent, so a small process starts each command.
STARTER = """
import os, sys
report, *command = sys.argv[1:]
_, status, usage = os.wait4(os.posix_spawn(command[0], command, os.environ), 0)
with open(report, "w") as file:
    print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=file)
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
"""


def spent(out: Path, *words: object, checkout: Path | None = None) -> Spent:
    """Runs a command of `understudy`, of another checkout if one is given, and measures it.

    Raises:
        BenchmarkError: it failed; it has said why.
    """
    variables = None if checkout is None else environment(checkout)
    with tempfile.TemporaryDirectory() as folder:
        report_file = Path(folder) / "spent"
        command = [sys.executable, "-m", "understudy", *map(str, words)]
        starter = [sys.executable, "-S", "-c", STARTER, str(report_file), *command]
        started = time.perf_counter()
        status = subprocess.run(starter, cwd=checkout, env=variables).returncode
        seconds = time.perf_counter() - started
        if status:
            raise BenchmarkError(f"understudy {words[0]} ended with status {status}")
        processor_seconds, peak_kilobytes = report_file.read_text(encoding="utf-8").split()
    return Spent(
        seconds=seconds,
        processor_seconds=float(processor_seconds),
        peak_bytes=1024 * int(peak_kilobytes),
        disk_bytes=sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
    )


def environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(checkout.resolve())}


def commit_of(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def served(line: Line) -> StageFigures:
    """Measures the start of the service, its answers, and its memory."""
    bundle = line.path("bundle")
    questions = Questions(load_snapshot(bundle / "graph"))
    started = time.perf_counter()
    with service(bundle, *NO_CACHE, cores="0,1") as server:
        httpx.get(f"{server.url}/health/ready", timeout=600).raise_for_status()
        seconds, processor = time.perf_counter() - started, server.processor_seconds
        times = requests(server, questions)
        memory = memory_bytes(server.process.pid)
    figures: StageFigures = {
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_bytes": memory["VmHWM"],
        "anonymous_bytes": memory["RssAnon"],
        "disk_bytes": 0,
    }
    figures.update(cast(StageFigures, times))
    return figures


def requests(server: Served, questions: Questions) -> dict[str, RequestTimes]:
    """Times requests for stored and unseen nodes, and changes of an edge, one after the other.

    Each sort is sent twice, about the same nodes; the second time, the data is in the caches.
    """
    edges = questions.edges(REQUESTS_EACH)
    stored, unseen = (
        [classify_body([node]) for node in questions.nodes(sort, REQUESTS_EACH)]
        for sort in ("stored", "unseen")
    )
    added, removed = (
        [mutation_body(edge, kind) for edge in edges] for kind in ("add_edge", "remove_edge")
    )
    rounds = {
        "stored": (CLASSIFY, stored),
        "stored again": (CLASSIFY, stored),
        "unseen": (CLASSIFY, unseen),
        "unseen again": (CLASSIFY, unseen),
        "changes": (MUTATIONS, added),
        "changes again": (MUTATIONS, removed),
    }
    turns = {name: one_by_one(server, *sent) for name, sent in rounds.items()}
    return {
        name: cast(RequestTimes, {**asdict(times_of([turn])), "least": min(turn[0])})
        for name, turn in turns.items()
    }


def known_sizes() -> dict[str, Size]:
    """Reads the sizes that were measured before.

    Raises:
        BenchmarkError: see `read_results`.
    """
    path = RESULTS / f"{NAME}.json"
    if not path.is_file():
        return {}
    return read_results(path, LineResults, "python -m benchmarks.line_at_scale")["sizes"]


WORKS: Mapping[str, Callable[[Line], StageFigures]] = dict(
    zip(STAGES, (drawn, imported, distilled, exported, served), strict=True)
)
