"""Which graph figures are of, in words."""

from pathlib import Path

from understudy.bundle import open_bundle
from understudy.graph import TextGraph


def described(graph: TextGraph) -> str:
    """Which graph figures are of."""
    return f"{graph.name}: {graph.num_nodes:,} nodes, {graph.adjacency.num_edges:,} edges"


def described_bundle(folder: Path, graph: TextGraph) -> str:
    """The same, and what reads its texts."""
    encoder = open_bundle(folder, verify=False).manifest.encoder.name
    return f"{described(graph)}; texts read by {encoder}"
