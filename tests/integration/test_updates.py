"""Changes of edges by batch size: which graphs are measured, and against what."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.updates.rates import WORKER, Engine, make_bundles, revision
from benchmarks.updates.report import UpdatesResults, markdown
from tests.benchmark_bundles import bundle_and_student


def test_a_bundle_of_another_size_is_not_taken_for_the_one_that_is_told(tmp_path: Path) -> None:
    bundle, _ = bundle_and_student(tmp_path, "sage")
    bundle.rename(tmp_path / "sage")
    with pytest.raises(BenchmarkError, match="sage is of a graph of 60 nodes, not of 1,693,430; n"):
        make_bundles(tmp_path, scale=10)


def results(kinds: Mapping[str, object], against: str) -> UpdatesResults:
    contents = {"nodes": 60, "edges": 90, "hidden": 8, "kinds": kinds, "against": against}
    return msgspec.convert(contents, UpdatesResults)


def test_what_it_is_measured_against_is_named(tmp_path: Path) -> None:
    assert revision(tmp_path) == tmp_path.name  # no checkout
    cells = {"a processor second": 900.0, "a wall second": 800.0, "rows an update": 30.0}
    found = {"difference": 1e-6, "megabytes opened": 4.0, "megabytes": 5.0, "batches": {"1": cells}}
    before = {**found, "batches": {"1": {**cells, "a processor second": 300.0}}}
    kinds = {"sage": {"this": found, "other": before}}
    text = markdown(results(kinds, "909c81a"))
    assert "| before (909c81a): a processor second | times |" in text
    assert "| sage | 1 | 900 | 800 | 30 | 300 | 3.0 |" in text


def test_what_waits_for_its_reader_is_told_beside_what_it_costs_to_compute_it() -> None:
    cells = {"a processor second": 900.0, "a wall second": 800.0, "rows an update": 30.0}
    cells |= {"nodes left": 1_500.0, "settled": 200.0}
    found = {"difference": 1e-6, "megabytes opened": 4.0, "megabytes": 5.0, "batches": {"1": cells}}
    found["reads"] = {"stored": 2.0, "left": 70.25}
    before = {**found, "batches": {"1": {**cells, "a processor second": 300.0, "settled": 400.0}}}
    kinds = {"sage": {"this": found, "other": {**before, "reads": {"stored": 1.9}}}}
    text = markdown(results(kinds, "909c81a"))
    assert "| sage | 1 | 900 | 800 | 30 | 300 | 3.0 | 1,500 | 200 | 400 | 0.5 |" in text
    assert "| sage | 2.0 | 70.2 |" in text


def test_a_worker_tells_what_is_left_and_what_reading_it_costs(tmp_path: Path) -> None:
    bundle, _ = bundle_and_student(tmp_path, "sage")
    checkout = WORKER.parents[2]
    worker = Engine.start(bundle, checkout)
    worker.measure(30, 2, settled=False)
    worker.measure(10, 1, settled=True)
    assert worker.totals[30]["updates"] == 60
    assert worker.settled[10]["left"] == 0
    assert worker.ask(reads=3)["stored"] > 0
    assert worker.ask(settle=True) == {}
    worker.settled[30], worker.totals[10] = worker.settled[10], worker.settled[10]
    assert worker.finish()["difference"] < 1e-4
