"""Cora and CiteSeer, if they lie beside the project."""

import os
from pathlib import Path

import pytest

from understudy.graph.building.builder import Built, Rules
from understudy.graph.describe import edge_homophily
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import SplitFile, import_graph

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "datasets"
DATASETS = Path(os.environ.get("UNDERSTUDY_DATASETS", BESIDE))
pytestmark = pytest.mark.skipif(
    not (DATASETS / "cora" / "nodes.jsonl.gz").is_file(),
    reason=f"no data sets in {DATASETS}; set UNDERSTUDY_DATASETS to the folder that has cora",
)
RANDOM_SPLIT = "random_stratified_60_20_20_seed0"


def read(name: str, split: str | None) -> Built:
    folder = DATASETS / name
    return import_graph(
        [folder / "nodes.jsonl.gz"],
        [folder / "edges.csv"],
        NodeFields(),
        EdgeFields(),
        Rules(),
        SplitFile(folder / "splits.json" if split else None, split),
    )


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "classes", "homophily", "own", "random"),
    [
        ("cora", 2708, 5278, 7, 0.81, (140, 500, 1000), (1621, 542, 545)),
        ("citeseer", 3186, 4225, 6, 0.744, (116, 480, 966), (1910, 637, 639)),
    ],
)
def test_citation_graphs_import_as_published(
    name: str,
    nodes: int,
    edges: int,
    classes: int,
    homophily: float,
    own: tuple[int, ...],
    random: tuple[int, ...],
) -> None:
    for split, sizes in ((None, own), (RANDOM_SPLIT, random)):
        built = read(name, split)
        graph = built.graph
        assert (graph.num_nodes, graph.adjacency.num_edges, graph.num_classes) == (
            nodes,
            edges,
            classes,
        )
        measured = edge_homophily(graph)
        assert measured is not None
        assert abs(measured - homophily) < 0.001
        assert tuple(len(graph.splits[part]) for part in ("train", "val", "test")) == sizes
        assert not built.repairs
        assert not built.random_split
