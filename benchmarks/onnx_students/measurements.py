"""Runs the measurements of exported students, and writes the results.

    python -m benchmarks.onnx_students GRAPH…

Classifying B new nodes from their features and their neighbours' cached activations, and all nodes
of a graph from all features. Everything is measured side by side, on one thread; whatever depends
on the request alone (ours: weights and blocks) is inside, edge lists of torch are made outside.

These students are random. --trained names student folders, whose graphs say what 8 bits cost.
"""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.common.results import markdown_table, write_results
from benchmarks.common.timing import side_by_side
from benchmarks.common.torch_students import (
    CachedStudent,
    EdgeIndexStudent,
    graph_edges,
    star_edges,
    take_loops_from_edges,
)
from benchmarks.onnx_students.naive_export import naive_network
from export.bundle import export_bundle
from export.options import ExportOptions
from export.student.activations import all_activations
from export.student.blocks import weighting_of
from export.student.files import convert_student, export_student
from training.config import StudentConfig, StudentKind
from training.data import edges
from training.student.network import Student
from understudy.bundle import StudentInfo
from understudy.bundle.sessions import Network
from understudy.bundle.student import StudentNetwork, open_student, variant_folder
from understudy.graph import TextGraph, load_graph
from understudy.graph.layers.neighborhoods import Weighting, unseen_neighborhoods
from understudy.graph.layers.propagation import propagate

DIMENSION = 384  # of MiniLM's embeddings
KINDS: tuple[StudentKind, ...] = ("sage", "gcn", "gat", "gin")
SIZES = (1, 8, 64, 512)
SAMPLE_NODES = 200  # handled in one sample of a small size, to rise above the clock

Call = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One random student with one graph."""

    graph: TextGraph
    student: Student
    network: StudentNetwork
    int8: StudentNetwork
    naive: Network | str
    compile: bool

    @property
    def kind(self) -> str:
        return self.student.config.kind

    @property
    def weighting(self) -> Weighting:
        return weighting_of(self.kind)


@dataclass(frozen=True, slots=True)
class CallTimes:
    """Times of classifying some nodes of one graph with one student.

    Attributes:
        ms: median milliseconds of each way; or why the naive export failed.
    """

    graph: str
    student: str
    nodes: int
    ms: dict[str, float | str]

    def milliseconds(self, way: str) -> float | None:
        """None where it was not measured."""
        found = self.ms.get(way)
        return found if isinstance(found, float) else None


@dataclass(frozen=True, slots=True)
class Int8Cost:
    """The cost of running a trained student in 8 bits."""

    graph: str
    student: str
    cosine: float  # the smallest of its logits to fp32's
    change: float  # validation accuracy, points


def make_case(graph: TextGraph, kind: StudentKind, hidden: int, compiled: bool) -> Case:
    torch._dynamo.reset()  # else the fourth student meets a limit of recompilations
    torch.manual_seed(0)
    config = StudentConfig(kind=kind, hidden=hidden)
    student = Student(config, DIMENSION, graph.num_classes, hashed=False).eval()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_student(student, folder / "student")
        info = StudentInfo(kind, weighting_of(kind), config.layers, hidden, 0)
        network = open_student(folder, info, 1, "cpu")
        convert_student(
            student, folder / "student", folder / variant_folder("int8") / "student", "int8"
        )
        int8 = open_student(folder, info, 1, "cpu", "int8")
        naive = naive_network(student, DIMENSION, folder / "naive.onnx")
    return Case(graph, student, network, int8, naive, compiled)


def few_nodes(case: Case, count: int, x: NDArray[np.float32]) -> dict[str, Call]:
    """Makes calls that classify `count` new nodes with the neighbours of stored ones."""
    adjacency = case.graph.adjacency
    nodes = np.random.default_rng(count).choice(adjacency.num_nodes, count, replace=False)
    near = unseen_neighborhoods(
        adjacency, [adjacency.neighbors(node).astype(np.int64) for node in nodes.tolist()]
    )
    tensors = case.student(torch.from_numpy(x), edges(adjacency)).hidden[:-1]
    tables = [table.numpy() for table in tensors]
    own, star = x[nodes], star_edges(case.kind, near, case.weighting)
    take_loops_from_edges(case.student, True)
    eager = CachedStudent(case.student)
    inputs = (torch.from_numpy(own), tensors, star.index, star.weight)

    def ours() -> NDArray[np.float32]:
        h = case.network.input({"x": own})
        for layer, table in zip(case.network.layers, tables, strict=True):
            h = propagate(layer, h, table, near, case.weighting)
        return h

    calls: dict[str, Call] = {"ours": ours, "torch": lambda: eager(*inputs)}
    np.testing.assert_allclose(ours(), eager(*inputs).numpy(), atol=1e-4)
    if case.compile:
        add_compiled(calls, eager, inputs)
    return calls


def all_nodes(case: Case, x: NDArray[np.float32]) -> dict[str, Call]:
    """Makes calls that classify every node of the graph."""
    adjacency, tensor = case.graph.adjacency, torch.from_numpy(x)
    take_loops_from_edges(case.student, False)
    listed, sparse = graph_edges(case.kind, adjacency), edges(adjacency)
    eager = EdgeIndexStudent(case.student)
    inputs = (tensor, listed.index, listed.weight)

    def ours(network: StudentNetwork = case.network) -> NDArray[np.float32]:
        return all_activations(network, tensor, adjacency, case.weighting)[-1]

    calls: dict[str, Call] = {
        "ours": ours,
        "ours, int8": lambda: ours(case.int8),
        "torch": lambda: eager(*inputs),
        "torch, CSR": lambda: case.student(tensor, sparse).logits,
    }
    np.testing.assert_allclose(ours(), eager(*inputs).numpy(), atol=1e-4)
    if isinstance(case.naive, Network):
        feeds = {"x": x, "edge_index": listed.index.numpy(), "edge_weight": listed.weight.numpy()}
        naive = case.naive
        calls["naive export"] = lambda: naive(feeds)
    if case.compile:
        add_compiled(calls, eager, inputs)
    return calls


def add_compiled(calls: dict[str, Call], module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
    """Adds torch.compile, for any number of nodes, where it works and gives the same answer."""
    compiled = torch.compile(module, dynamic=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.testing.assert_close(compiled(*inputs), module(*inputs), atol=1e-4, rtol=0)
    except Exception:  # noqa: BLE001 - it does not work here, whatever the reason
        return
    calls["torch.compile"] = lambda: compiled(*inputs)


def measure(calls: dict[str, Call], count: int, rounds: int) -> dict[str, float]:
    """Measures median milliseconds per call."""
    repeats = max(1, SAMPLE_NODES // count)

    def repeated(call: Call) -> Call:
        def work() -> None:
            for _ in range(repeats):
                call()

        return work

    seconds = side_by_side({name: repeated(call) for name, call in calls.items()}, rounds)
    return {name: 1_000 * value / repeats for name, value in seconds.items()}


def rows_of(case: Case, rounds: int) -> list[CallTimes]:
    """Makes a table row for each size."""
    count = case.graph.num_nodes
    x = np.random.default_rng(0).standard_normal((count, DIMENSION)).astype(np.float32)
    rows = []
    sizes = [size for size in SIZES if size < count]
    for size in [*sizes, count]:
        calls = all_nodes(case, x) if size == count else few_nodes(case, size, x)
        found: dict[str, float | str] = dict(measure(calls, size, rounds_of(size, rounds)))
        if size == count and isinstance(case.naive, str):
            found["naive export failed"] = case.naive
        rows.append(CallTimes(case.graph.name, case.kind, size, found))
        typer.echo(f"{case.graph.name} {case.kind} {size}: {describe(found)}")
    return rows


def rounds_of(nodes: int, rounds: int) -> int:
    """Chooses fewer rounds for calls that take seconds, since noise matters less in them."""
    if nodes < 2_000:
        return rounds
    return max(5, rounds // 6) if nodes < 20_000 else 3


def describe(found: dict[str, float | str]) -> str:
    return ", ".join(
        f"{name} {value if isinstance(value, str) else f'{value:.3g} ms'}"
        for name, value in found.items()
    )


def table(rows: list[CallTimes]) -> str:
    names = ("ours", "ours, int8", "torch", "torch, CSR", "torch.compile", "naive export")
    ratios = ("torch / ours", "naive / ours", "naive / ours, int8")
    header = ["graph", "student", "nodes", *(f"{name}, ms" for name in names), *ratios]
    lines = []
    for row in rows:
        found = {name: value for name in names if (value := row.milliseconds(name)) is not None}
        failed = {"naive export": "cannot"} if "naive export failed" in row.ms else {}
        cells = [f"{found[name]:.3g}" if name in found else failed.get(name, "-") for name in names]
        slower = found.get("naive export")
        times = [f"{found['torch'] / found['ours']:.2f}"]
        times += [
            f"{slower / found[name]:.2f}" if slower and name in found else "-"
            for name in ("ours", "ours, int8")
        ]
        lines.append([row.graph, row.student, f"{row.nodes:,}", *cells, *times])
    return markdown_table(header, lines)


@torch.inference_mode()
def main(
    graphs: Annotated[list[Path], typer.Argument(help="Graph folders.")],
    hidden: Annotated[int, typer.Option(min=4, help="Width of the students.")] = 256,
    rounds: Annotated[int, typer.Option(min=5, help="Samples of each.")] = 60,
    compiled: Annotated[bool, typer.Option("--compile/--no-compile")] = True,
    trained: Annotated[
        list[Path] | None, typer.Option(help="Student folders, to judge int8 by.")
    ] = None,
    out: Annotated[str, typer.Option(help="Name of the files in benchmarks/results.")] = "onnx",
) -> None:
    """Measure the exported students against torch."""
    torch.set_num_threads(1)
    rows: list[CallTimes] = []
    for folder in graphs:
        graph = load_graph(folder)
        for kind in KINDS:
            rows += rows_of(make_case(graph, kind, hidden, compiled), rounds)
    setting = f"384 → {hidden} → classes, 2 layers, one thread, medians, side by side."
    gates = [cost_of_int8(folder) for folder in trained or []]
    text = f"# Students\n\n{setting}\n\n{table(rows)}"
    if gates:
        header = ["graph", "trained student", "least cosine of logits", "validation, points"]
        cells = [[g.graph, g.student, f"{g.cosine:.4f}", f"{g.change:+.2f}"] for g in gates]
        text += f"\nint8 instead of fp32:\n\n{markdown_table(header, cells)}"
    results = {"rows": list(map(asdict, rows)), "int8": list(map(asdict, gates))}
    write_results(out, {"setting": setting, **results}, text)


def cost_of_int8(student: Path) -> Int8Cost:
    """Measures the cost of int8 as the gate of the export does."""
    options = ExportOptions(encoder_precision="fp32", student_precisions=("int8",))
    with torch.inference_mode(False), tempfile.TemporaryDirectory() as folder:
        manifest = export_bundle(student, Path(folder) / "bundle", options)
    variant = manifest.variants[variant_folder("int8")]
    return Int8Cost(
        manifest.graph.name, manifest.student.kind, variant.cosine, variant.accuracy_change
    )
