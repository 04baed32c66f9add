"""Benchmarks at tiny size, against real servers."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.load.driving import drive
from benchmarks.load.offered import Offered, planned
from benchmarks.peers.compare import measure
from benchmarks.peers.results import Plan
from benchmarks.peers.rivals import RIVALS, TABLE
from benchmarks.scale import Plan as ScalePlan
from benchmarks.scale import measure_size
from benchmarks.serving.questions import Questions
from benchmarks.serving.servers import NO_CACHE, Served, service
from tests.benchmark_bundles import bundle_and_student
from understudy.graph.snapshot import load_snapshot

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="needs the program wrk")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return bundle_and_student(tmp_path_factory.mktemp("benchmarks"), "sage", nodes=140)


@pytest.fixture(scope="module")
def own(folders: tuple[Path, Path]) -> Iterator[Served]:
    with service(folders[0], *NO_CACHE) as server:
        yield server


@needs_wrk
@pytest.mark.parametrize("name", [TABLE, "FastAPI + PyG, recomputed"])
def test_a_rival_is_asked_beside_the_service(
    own: Served, folders: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    (peer,) = (rival for rival in RIVALS if rival.name == name)
    plan = Plan(rounds=1, seconds=1, requests=10, changes=2)
    found = measure(own, peer, folders, [], tmp_path / "log", plan, encoder_ms=0.01)
    assert "missing" not in found, found["missing"]
    assert found["agreement"]["stored"].same_label == 1.0
    assert found["stored"].theirs.per_second > 0
    if peer.changes:
        assert found["changes"].theirs.requests == 4
        assert found["after_changes"].difference < 1e-4


@needs_wrk
def test_a_size_is_measured_from_start_to_changes(folders: tuple[Path, Path]) -> None:
    found = measure_size(folders[0], ScalePlan(starts=1, seconds=1, requests=10, changes=3))
    assert found.nodes == 140
    assert found.start_seconds > 0.05
    assert found.unseen.requests == 10
    assert found.changes.requests == 6
    assert found.peak_megabytes > found.anonymous_megabytes > 10


def test_a_load_of_all_sorts_is_answered(own: Served, folders: tuple[Path, Path]) -> None:
    questions = Questions(load_snapshot(folders[0] / "graph"))
    offered = Offered("stored=60,unseen=30,changes=10", rate=40.0, seconds=1.0)
    arrivals = planned(questions, offered, seed=2)
    found = asyncio.run(drive([own], arrivals, offered, deadline=60.0))
    assert found.sorts.keys() == {"stored", "unseen", "changes"}
    assert found.all.requests == found.all.in_time == len(arrivals)
    assert found.all.failed == 0
