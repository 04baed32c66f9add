"""Describes graphs and bundles that figures were measured on."""

from pathlib import Path

from understudy.bundle import open_bundle
from understudy.graph import TextGraph


def described(graph: TextGraph) -> str:
    """Describes the graph that figures were measured on."""
    return f"{graph.name}: {graph.num_nodes:,} nodes, {graph.adjacency.num_edges:,} edges"


def described_bundle(folder: Path, graph: TextGraph) -> str:
    """Describes a bundle's graph and text encoder."""
    encoder = open_bundle(folder, verify=False).manifest.encoder.name
    return f"{described(graph)}; texts read by {encoder}"
