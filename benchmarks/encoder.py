"""Times the exported text encoder against torch, and measures the accuracy that int8 costs.

    python -m benchmarks.encoder STUDENT…

Times are those of one text on one thread. For each student folder (with MiniLM's features), the
validation accuracy with the int8 encoder is measured.
"""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.common.command import run_script
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.common.timing import side_by_side
from export.checks.gates import judge
from export.encoder.files import WrittenEncoder, served_embeddings, write_encoder, write_int8
from training.data import edges
from training.encoders.features import dense_features, graph_features
from training.student.checkpoint import Checkpoint, load_checkpoint
from understudy.bundle.text_encoder import ENCODER_FILE, INT8_FILE
from understudy.graph import TextGraph, load_graph
from understudy.progress import silent, terminal_progress

FILES = {"fp32": ENCODER_FILE, "int8": INT8_FILE}
LENGTHS = (10, 64, 256)  # tokens
BARS = {"fp32": (2, 1.2, 1), "int8": (5, 3, 2.5)}  # times torch, to be reached at each length


@dataclass(frozen=True, slots=True)
class LengthResult:
    """Figures of one length of text, by way: fp32, int8, and for times also torch."""

    tokens: int
    ms: dict[str, float]  # medians
    cosine: dict[str, float]  # to torch's embedding
    bar: dict[str, float]  # times as fast as torch, to be reached


@dataclass(frozen=True, slots=True)
class GateResult:
    """What int8 costs a student."""

    graph: str
    student: str
    validation_nodes: int
    precision: str
    cosine: float  # the smallest of an embedding to fp32's
    accuracy_change: float  # points, on validation
    same_label: float  # share of the nodes
    passes: bool


def times(encoder: WrittenEncoder, rounds: int) -> list[LengthResult]:
    """Median milliseconds per text, for each length."""
    networks = {name: encoder.open(file).network for name, file in FILES.items()}
    module = encoder.original.module
    rows = []
    for position, length in enumerate(LENGTHS):
        ids = np.random.default_rng(length).integers(1_000, 20_000, (1, length))
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        calls: dict[str, Callable[[], object]] = {
            name: partial(network, feeds) for name, network in networks.items()
        }
        tensors = torch.from_numpy(ids), torch.ones(1, length, dtype=torch.int64)
        calls["torch"] = partial(module, *tensors)
        seconds = side_by_side(calls, max(10, rounds * 10 // length))
        expected = module(*tensors).numpy()
        cosines = {n: float((run(feeds) * expected).sum()) for n, run in networks.items()}
        rows.append(
            LengthResult(
                tokens=length,
                ms={name: 1_000 * value for name, value in seconds.items()},
                cosine=cosines,
                bar={name: bars[position] for name, bars in BARS.items()},
            )
        )
    return rows


def accuracy(checkpoint: Checkpoint, graph: TextGraph, encoder: WrittenEncoder) -> GateResult:
    """Runs the gate of int8 on a student."""
    adjacency = edges(graph.adjacency)
    cosine = write_int8(encoder, graph)
    with terminal_progress() as progress:
        features = graph_features(graph, checkpoint.config.encoder, None, progress)
        rounded = dense_features(served_embeddings(graph, encoder, INT8_FILE, progress))
    exact, found = (checkpoint.student(x, adjacency).logits.numpy() for x in (features, rounded))
    return judged(graph, checkpoint.config.student.kind, cosine, exact, found)


def judged(
    graph: TextGraph,
    student: str,
    cosine: float,
    exact: NDArray[np.float32],
    found: NDArray[np.float32],
) -> GateResult:
    """The gate's verdict on a student's logits, float32 [N, classes] each; `found` is by int8."""
    verdict = judge("int8", cosine, graph, exact, found)
    return GateResult(
        graph=graph.name,
        student=student,
        validation_nodes=len(graph.splits["val"]),
        precision=verdict.info.precision,
        cosine=verdict.info.cosine,
        accuracy_change=verdict.info.accuracy_change,
        same_label=float((exact.argmax(axis=1) == found.argmax(axis=1)).mean()),
        passes=verdict.passes,
    )


@torch.inference_mode()
def main(
    students: Annotated[list[Path], typer.Argument(help="Student folders with their graphs.")],
    rounds: Annotated[int, typer.Option(min=10, help="Samples at 10 tokens.")] = 200,
    out: Annotated[str, typer.Option(help="Name of the files in benchmarks/results.")] = "encoder",
) -> None:
    """Measure the exported text encoder against torch, and int8's cost in accuracy."""
    torch.set_num_threads(1)
    gates = []
    with tempfile.TemporaryDirectory() as name:
        encoder = write_encoder(Path(name), None, 1, silent)
        for folder in students:
            checkpoint = load_checkpoint(folder)
            graph = load_graph(Path(checkpoint.config.graph_path))
            gates.append(accuracy(checkpoint, graph, encoder))
            typer.echo(str(gates[-1]))
        rows = times(encoder, rounds)
    text = f"# Text encoder\n\nOne text, one thread, medians.\n\n{time_table(rows)}\n"
    text += f"int8 features instead of fp32:\n\n{gate_table(gates)}"
    results = {"times": list(map(asdict, rows)), "accuracy": list(map(asdict, gates))}
    publish_results(out, results, text)


def time_table(rows: list[LengthResult]) -> str:
    header = ["tokens", "torch, ms", "fp32, ms", "int8, ms", "fp32", "int8", "cosine of int8"]
    lines = []
    for row in rows:
        ms = row.ms
        ratios = [f"{ms['torch'] / ms[n]:.2f}x (bar {row.bar[n]}x)" for n in ("fp32", "int8")]
        figures = [f"{ms[name]:.2f}" for name in ("torch", "fp32", "int8")]
        lines.append([row.tokens, *figures, *ratios, f"{row.cosine['int8']:.4f}"])
    return markdown_table(header, lines)


def gate_table(gates: list[GateResult]) -> str:
    header = ["graph", "student", "validation nodes", "accuracy, points", "same label", "passes"]
    lines = [
        [
            gate.graph,
            gate.student,
            f"{gate.validation_nodes:,}",
            f"{gate.accuracy_change:+.2f}",
            f"{gate.same_label:.2%}",
            "yes" if gate.passes else "no",
        ]
        for gate in gates
    ]
    return markdown_table(header, lines)


if __name__ == "__main__":
    run_script(main)
