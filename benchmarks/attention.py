"""Times our graph attention against PyG's GATConv with the same weights, in both passes.

    python -m benchmarks.attention GRAPH [--width 256] [--rounds 5]

Their outputs are compared before they are timed.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch_geometric.nn import GATConv

from benchmarks.common.command import run_script
from benchmarks.common.graphs import described
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.common.timing import side_by_side
from training.config import StudentConfig
from training.data import edges
from training.student.attention import attention
from training.student.network import convolution
from understudy.graph import load_graph

OURS, PUBLISHED = "ours", "GATConv"


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    width: Annotated[int, typer.Option(min=1, help="Of an activation.")] = StudentConfig().hidden,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measure, print and write results/attention.json."""
    source = load_graph(graph)
    graph_edges = edges(source.adjacency)
    torch.manual_seed(0)
    conv = convolution(StudentConfig(kind="gat", hidden=width))
    assert isinstance(conv, GATConv)
    h = torch.randn(source.num_nodes, width, requires_grad=True)
    layers: dict[str, Callable[[], Tensor]] = {
        OURS: lambda: attention(conv, h, graph_edges.attended),
        PUBLISHED: lambda: conv(h, graph_edges.edge_index),
    }
    torch.testing.assert_close(layers[OURS](), layers[PUBLISHED](), atol=1e-4, rtol=1e-4)
    passes = {"forward": forward, "forward and backward": backward}
    works = {
        f"{title}, {name}": partial(work, layer)
        for title, work in passes.items()
        for name, layer in layers.items()
    }
    seconds = side_by_side(works, rounds, warmup=1)
    ratios = {t: seconds[f"{t}, {PUBLISHED}"] / seconds[f"{t}, {OURS}"] for t in passes}
    rows = [
        [t, *(f"{seconds[f'{t}, {name}']:.3f} s" for name in layers), f"{ratios[t]:.1f}"]
        for t in passes
    ]
    markdown = f"One layer of width {width}, {described(source)}:\n\n"
    markdown += markdown_table(["", *layers, "times faster"], rows)
    results = {"graph": described(source), "width": width, "seconds": seconds, "ratios": ratios}
    publish_results("attention", results, markdown)


@torch.no_grad()
def forward(layer: Callable[[], Tensor]) -> None:
    layer()


def backward(layer: Callable[[], Tensor]) -> None:
    output = layer()
    output.backward(output.detach())


if __name__ == "__main__":
    run_script(main)
