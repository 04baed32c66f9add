"""The real package index of this machine."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from understudy.graph import SourceError, TextGraph
from understudy.graph.describe import components
from understudy.graph.readers.apt import fetch_index
from understudy.graph.readers.debian import WELL_KNOWN, debian_graph
from understudy.graph.selection import connected_part

pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None, reason="there is no apt-get on this machine"
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private folder with a fetched index."""
    folder = tmp_path_factory.mktemp("apt")
    try:
        fetch_index(folder)
    except SourceError as error:
        pytest.skip(f"the package index cannot be fetched here: {error}")
    return folder


@pytest.fixture(scope="module")
def part(state: Path) -> TextGraph:
    return debian_graph(state, limit=3000, offline=True).graph


def test_the_part_is_connected_and_has_well_known_packages(part: TextGraph) -> None:
    assert part.num_nodes <= 3000
    assert components(part.adjacency).max() == 0
    assert {"curl", "libc6", "bash"} <= set(part.index_of)


def test_the_part_is_balanced_and_every_class_can_be_learnt(part: TextGraph) -> None:
    sizes = np.bincount(part.labels[part.labels >= 0], minlength=part.num_classes)
    assert part.num_classes >= 20
    assert sizes.max() < 0.2 * part.num_nodes
    assert set(part.labels[part.splits["train"]].tolist()) >= set(range(part.num_classes))


def test_texts_are_descriptions_and_never_start_with_the_package_s_name(part: TextGraph) -> None:
    text = part.texts[part.index_of["curl"]].as_py()
    title, _, body = text.partition("\n")
    assert title
    assert len(body) > 100
    assert not title.startswith("curl")


def test_source_packages_are_whole_in_the_split(part: TextGraph) -> None:
    assert part.groups is not None
    parts = [set(part.groups[members].tolist()) for members in part.splits.values()]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_the_whole_index(state: Path) -> None:
    graph = debian_graph(state, offline=True).graph
    assert graph.num_nodes > 10_000
    assert graph.adjacency.num_edges > 2 * graph.num_nodes
    assert "curl" in graph.index_of
    again = connected_part(graph, 1000, WELL_KNOWN)
    assert (again == connected_part(graph, 1000, WELL_KNOWN)).all()
    assert components(graph.subgraph(again).adjacency).max() == 0
