"""Measures edge changes per second by batch size and student, as is usual for changing graphs.

    python -m benchmarks.updates FOLDER
    python -m benchmarks.updates FOLDER --against ../another-checkout

A synthetic graph of ogbn-arxiv's size (169,343 nodes and 1,166,243 edges) and a random student of
each kind are written to FOLDER, unless they exist. Edges, drawn uniformly, are added and removed in
turn; the log is in memory. Before each batch size is measured, all pending logits are computed.
Each size is measured twice: with changes alone, after which some logits may be left until they are
read, and with all logits computed after every batch. With --against, the engine of another checkout
gets the same changes in turn.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.common.random_bundle import with_few_texts
from benchmarks.common.results import publish_results
from benchmarks.errors import BenchmarkError
from benchmarks.updates.report import EngineFigures, UpdatesResults, markdown
from tests.student_bundles import write_student_bundle
from training.config import StudentConfig
from understudy.bundle import open_bundle
from understudy.graph.hashing import HashingOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

NODES, EDGES, CLASSES = 169_343, 1_166_243, 40  # ogbn-arxiv's
HIDDEN = 64
KINDS = ("sage", "gcn", "gin", "gat")
WARM_UP = 10_000  # changes, after which a process is in its steady state
# Batch size → batches per turn, and number of turns of each engine.
ROUNDS = {1: (40, 3), 10: (10, 3), 100: (4, 3), 1_000: (2, 2), 10_000: (1, 2)}
READ_AFTER = 100  # batch size after which look-ups are timed: some logits are stored, some left
READS = 200  # look-ups of one node
WORKER = Path(__file__).with_name("worker.py")


@dataclass
class Engine:
    """The process of `benchmarks.updates.worker`, and its figures by batch size."""

    process: "subprocess.Popen[str]"
    opened: dict[str, float]
    totals: dict[int, dict[str, float]] = field(default_factory=dict)
    settled: dict[int, dict[str, float]] = field(default_factory=dict)  # with all logits computed
    reads: dict[str, float] = field(default_factory=dict)  # microseconds

    @classmethod
    def start(cls, bundle: Path, checkout: Path) -> "Engine":
        settings = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER), str(bundle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )
        return cls(process, answer_of(process))

    def ask(self, **wanted: object) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        return answer_of(self.process)

    def measure(self, batch: int, rounds: int, settled: bool) -> None:
        found = self.ask(batch=batch, rounds=rounds, settled=settled)
        totals = (self.settled if settled else self.totals).setdefault(batch, {})
        for name, value in found.items():
            totals[name] = totals.get(name, 0) + value

    def finish(self) -> EngineFigures:
        checked = self.ask(check=True)
        self.process.communicate()  # it ends when its input ends
        return {
            "megabytes opened": self.opened["megabytes"],
            "difference": checked["difference"],
            "megabytes": checked["megabytes"],
            "reads": self.reads,
            "batches": {
                str(batch): {
                    "a processor second": totals["updates"] / totals["processor"],
                    "a wall second": totals["updates"] / totals["wall"],
                    "rows an update": totals["rows"] / totals["updates"],
                    "nodes left": totals["left"] * batch / totals["updates"],
                    "settled": self.settled[batch]["updates"] / self.settled[batch]["processor"],
                }
                for batch, totals in self.totals.items()
            },
        }


def answer_of(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdout is not None
    found: dict[str, float] = json.loads(process.stdout.readline())
    return found


def main(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the bundles, which are made if missing.")
    ],
    against: Annotated[Path | None, typer.Option(help="Another checkout to compare with.")] = None,
    scale: Annotated[int, typer.Option(help="Multiple of ogbn-arxiv's size.")] = 1,
) -> None:
    """Measure, print and write results/updates.json."""
    make_bundles(folder, scale)
    checkouts = {"this": WORKER.parents[2], **({"other": against} if against else {})}
    kinds: dict[str, dict[str, EngineFigures]] = {}
    for kind in KINDS:
        bundle = (folder / kind).absolute()
        kinds[kind] = measure_kind(
            {name: Engine.start(bundle, path.absolute()) for name, path in checkouts.items()}
        )
        typer.echo(kind)
    other = revision(against) if against else None
    results = UpdatesResults(NODES * scale, EDGES * scale, HIDDEN, kinds, other)
    report = markdown(results)
    written = asdict(results)
    if other is None:
        del written["against"]
    publish_results("updates" if scale == 1 else f"updates_{scale}", written, report)


def revision(checkout: Path) -> str:
    """The short name of a checkout's commit; its folder's name if it is no git repository."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or checkout.name


def make_bundles(folder: Path, scale: int) -> None:
    """Makes the bundles that are missing.

    Raises:
        BenchmarkError: an existing bundle is of a graph of another size.
    """
    missing = [kind for kind in KINDS if not (folder / kind).exists()]
    for kind in set(KINDS) - set(missing):
        nodes = open_bundle(folder / kind, verify=False).manifest.graph.nodes
        if nodes != NODES * scale:
            raise BenchmarkError(
                f"{folder / kind} is of a graph of {nodes:,} nodes, not of {NODES * scale:,}; name "
                "another folder for another --scale"
            )
    if not missing:
        return
    options = SyntheticOptions(nodes=NODES * scale, mean_degree=2 * EDGES / NODES, classes=CLASSES)
    graph = with_few_texts(synthetic_graph(options))
    for kind in missing:
        student = StudentConfig(kind=kind, hidden=HIDDEN)
        write_student_bundle(folder / kind, graph, student, HashingOptions(buckets=4_096))


def measure_kind(engines: dict[str, Engine]) -> dict[str, EngineFigures]:
    for engine in engines.values():
        engine.ask(batch=WARM_UP, rounds=1)
    for batch, (rounds, turns) in ROUNDS.items():
        for engine in engines.values():
            engine.ask(settle=True)
        for settled in (False, True):
            for _ in range(turns):
                for engine in engines.values():
                    engine.measure(batch, rounds, settled)
            if batch == READ_AFTER and not settled:
                for engine in engines.values():
                    engine.reads = engine.ask(reads=READS)
    return {name: engine.finish() for name, engine in engines.items()}
