"""Estimates of the benchmark of the whole line for sizes that were not measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import results
from benchmarks.common.results import RESULTS
from benchmarks.line_at_scale import stages as line_at_scale
from benchmarks.line_at_scale.records import Cost, RequestTimes, Size, StageFigures
from benchmarks.line_at_scale.report import extrapolated, report
from benchmarks.line_at_scale.stages import NAME, Line, LineOptions, known_sizes, write_tables
from tests.figures import unfounded
from understudy.graph import save_graph
from understudy.graph.building.builder import Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "concepts" / "scaling.md"


def size(nodes: int) -> Size:
    """Half a second and a thousand bytes a node, and what every process takes."""
    times: RequestTimes = {"p50": 1.0, "processor_ms": 0.5}
    served: StageFigures = {
        "seconds": 0.0,
        "processor_seconds": 2 + nodes / 2,
        "peak_bytes": 500 + 1_000 * nodes,
        "disk_bytes": 0,
        "anonymous_bytes": 0,
        "stored": times,
        "unseen": times,
        "changes": times,
    }
    return {"nodes": nodes, "edges": 10 * nodes, "stages": {"serve": served}}


def test_larger_sizes_lie_on_the_line_through_the_two_largest_ones() -> None:
    sizes = {str(nodes): size(nodes) for nodes in (10, 100_000, 300_000)}
    sizes["10"]["stages"]["serve"]["peak_bytes"] = 10**9
    assert extrapolated(sizes, "serve", "processor_seconds", 10**7) == 2 + 10**7 / 2
    assert extrapolated(sizes, "serve", "peak_bytes", 10**9) == 500 + 10**12
    assert "| 1,000,000,000 | serve | 500,000,002 | 1,000.00 |" in report(sizes)


def test_one_size_or_small_ones_say_nothing_of_others() -> None:
    for sizes in ((10,), (10, 1_000, 100_000)):
        assert "Not measured" not in report({str(nodes): size(nodes) for nodes in sizes})


def test_the_page_tells_what_was_measured() -> None:
    committed = json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8"))
    assert (
        (RESULTS / f"{NAME}.md").read_text(encoding="utf-8").startswith(report(committed["sizes"]))
    )
    assert unfounded(ROOT, PAGE) == []


def test_a_size_is_held_to_the_line_through_the_two_before_it_and_to_its_plan() -> None:
    sizes = {str(nodes): size(nodes) for nodes in (10, 100_000, 300_000)}
    largest = sizes["300000"]
    largest["stages"]["serve"]["processor_seconds"] *= 2
    expected: Cost = {"processor_seconds": 150_001.0, "peak_bytes": 3e8, "disk_bytes": 1e9}
    largest["planned"] = {"serve": expected, "export": expected}
    lines = report(sizes).splitlines()
    assert any(line.startswith("| 300,000 | serve | 150,002 | 300,004 | 2.00 |") for line in lines)
    assert any(line.startswith("| 300,000 | serve | 150,001 | 300,004 | 2.00 |") for line in lines)
    assert not any("| export |" in line for line in lines)


def test_what_ended_is_written_beside_what_was_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(line_at_scale, "RESULTS", tmp_path)
    spent = size(1)["stages"]["serve"]
    planned: Cost = {"processor_seconds": 2.5, "peak_bytes": 1_500, "disk_bytes": 0}
    Line(tmp_path, LineOptions(1_000, 1)).write(planned={"serve": planned})
    Line(tmp_path, LineOptions(500, 1)).ended("serve", spent)
    Line(tmp_path, LineOptions(1_000, 2)).ended("serve", spent)
    known = known_sizes()
    assert list(known) == ["500", "1000"]
    assert known["1000"]["planned"] == {"serve": planned}
    assert known["1000"]["edges"] == 2
    assert "| 1,000 | 2 | serve |" in (tmp_path / f"{NAME}.md").read_text(encoding="utf-8")


def test_the_tables_of_a_drawn_graph_are_imported_as_that_graph(tmp_path: Path) -> None:
    drawn = synthetic_graph(SyntheticOptions(nodes=60, classes=3, mean_degree=6.0, labeled=0.5))
    save_graph(drawn, tmp_path / "drawn")
    write_tables(tmp_path / "drawn", tmp_path / "tables")
    nodes, edges = ([tmp_path / "tables" / f"{name}.parquet"] for name in ("nodes", "edges"))
    graph = import_graph(nodes, edges, NodeFields(), EdgeFields(), Rules()).graph
    assert graph.ids.equals(drawn.ids)
    assert graph.texts.equals(drawn.texts)
    assert np.array_equal(graph.adjacency.indices, drawn.adjacency.indices)
    names = np.array([*drawn.label_names, ""])
    assert [*np.array([*graph.label_names, ""])[graph.labels]] == [*names[drawn.labels]]
