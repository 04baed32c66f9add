"""Measures time and memory of an epoch of each student, against a plain implementation.

    python -m benchmarks.epoch GRAPH [--students sage,gcn] [--epochs 2] [--ours-only]

The plain implementation uses PyG's layers and torch's dropout under autograd, and evaluates all
nodes; an epoch includes its evaluation. Each way runs in a process of its own, so that its peak
memory can be measured. Embeddings are random, since speed does not depend on their content.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, cast

import msgspec
import torch
import typer
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn import GCNConv, GINConv, SAGEConv

from benchmarks.common.command import run_script
from benchmarks.common.graphs import described
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.errors import BenchmarkError
from training.config import LABELS, StudentConfig
from training.data import Edges, GraphData, graph_data, whole_graph
from training.encoders.features import Features
from training.loop import Evaluation, predict, run_epoch
from training.losses.objectives import CrossEntropy, Term
from training.student.network import DenseInput, MessageLayer, Student, StudentOutput
from understudy.graph import load_graph

WIDTH = 384  # of an embedding
OURS, PLAIN = "ours", "plainly"


@dataclass(frozen=True, slots=True)
class EpochCost:
    """The cost of the cheapest measured epoch, including its evaluation."""

    seconds: float
    processor_seconds: float
    peak_bytes: int  # of the process


class PlainStudent(Student):
    """A student by PyG's layers and torch's dropout; autograd keeps what it needs."""

    def forward(
        self,
        features: Features,
        edges: Edges,
        embedded: Tensor | None = None,
        last: bool = True,
        reach: Sequence[int] = (),
    ) -> StudentOutput:
        hidden = [self.embed(features)]
        for layer in self.layers:
            h = self.drop(hidden[-1])
            own = cast(MessageLayer, layer)
            hidden.append(own.finish(h, convolved(own, h, edges)))
        return StudentOutput(hidden, self.head(self.drop(hidden[-1])))

    def embed(self, features: Features) -> Tensor:
        source = cast(DenseInput, self.input)
        return F.relu(self.input_norm(source.mapped(cast(Tensor, features))))

    def drop(self, h: Tensor) -> Tensor:
        return F.dropout(h, self.config.dropout, self.training)


def convolved(layer: MessageLayer, h: Tensor, edges: Edges) -> Tensor:
    if isinstance(layer.conv, SAGEConv | GINConv):
        return cast(Tensor, layer.conv(h, edges.adjacency))
    if isinstance(layer.conv, GCNConv):
        return cast(Tensor, layer.conv(h, edges.normalized))
    return cast(Tensor, layer.conv(h))


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    students: Annotated[str, typer.Option(help="Of sage, gcn, gin and mlp.")] = "sage,gcn",
    epochs: Annotated[int, typer.Option(min=1, help="Measured, after one that is not.")] = 2,
    ours_only: Annotated[bool, typer.Option(help="Where the other way does not fit.")] = False,
    way: Annotated[str, typer.Option(hidden=True, help="Measures in this very process.")] = "",
) -> None:
    """Measure, print and write results/epoch.json."""
    if way:
        typer.echo(msgspec.json.encode(measured(graph, students, epochs, way)))
        return
    ways = (OURS,) if ours_only else (OURS, PLAIN)
    found = {
        kind: {way: in_process(graph, kind, epochs, way) for way in ways}
        for kind in students.split(",")
    }
    rows = [
        [
            kind,
            *(f"{by_way[way].seconds:.1f} s" for way in ways),
            *(f"{by_way[way].processor_seconds:.1f} s" for way in ways),
            *(f"{by_way[way].peak_bytes / 1e9:.2f} GB" for way in ways),
        ]
        for kind, by_way in found.items()
    ]
    names = ("an epoch", "its processor time", "peak memory")
    header = ["", *(f"{name}, {way}" for name in names for way in ways)]
    source = described(load_graph(graph))
    markdown = f"One epoch, width {StudentConfig().hidden}, {source}:\n\n"
    markdown += markdown_table(header, rows)
    costs = {
        kind: {way: asdict(cost) for way, cost in by_way.items()} for kind, by_way in found.items()
    }
    publish_results("epoch", {"graph": source, "students": costs}, markdown)


def in_process(graph: Path, kind: str, epochs: int, way: str) -> EpochCost:
    """Runs `measured` in a process of its own.

    Raises:
        BenchmarkError: it failed.
    """
    words = [str(graph), "--students", kind, "--epochs", str(epochs), "--way", way]
    command = [sys.executable, "-m", "benchmarks.epoch", *words]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        raise BenchmarkError(f"measuring {kind} {way} ended with status {ended.returncode}")
    return msgspec.json.decode(ended.stdout.splitlines()[-1], type=EpochCost)


def measured(graph: Path, kind: str, epochs: int, way: str) -> EpochCost:
    """Measures the shortest epoch, in seconds and processor seconds, and the peak memory."""
    source = load_graph(graph)
    torch.manual_seed(0)
    data = graph_data(source, torch.randn(source.num_nodes, WIDTH))
    maker = Student if way == OURS else PlainStudent
    student = maker(StudentConfig(kind=kind), WIDTH, source.num_classes, hashed=False)
    times = epoch_times(student, data, epochs, shared=way == OURS)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, processor = (min(column) for column in zip(*times, strict=True))
    return EpochCost(seconds, processor, peak)


def epoch_times(
    student: Student, data: GraphData, epochs: int, shared: bool, mixed: bool = False
) -> list[tuple[float, float]]:
    """Times each epoch but the first; `shared` and `mixed` train as `training.loop.train` does.

    An epoch ends with a figure that is read from the device, so all of its work is done.
    """
    optimizer = torch.optim.AdamW(student.parameters(), fused=True)
    batch, terms = whole_graph(data), [Term(LABELS, 1.0, CrossEntropy())]
    evaluation = Evaluation(student, data)
    embedded: Tensor | None = None
    times = []
    for _ in range(epochs + 1):
        started, processor = time.perf_counter(), time.process_time()
        run_epoch(student, [batch], terms, optimizer, embedded, mixed=mixed)
        embedded = None
        if shared:
            embedded = student.embed(data.features)
            evaluation(student, embedded)
        else:
            predict(student, data)
        times.append((time.perf_counter() - started, time.process_time() - processor))
    return times[1:]


if __name__ == "__main__":
    run_script(main)
