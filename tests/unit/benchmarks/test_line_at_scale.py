"""What the benchmark of the whole line tells of sizes that were not measured."""

import json
from pathlib import Path
from typing import Any

from benchmarks.line_at_scale import NAME
from benchmarks.line_report import extrapolated, report
from benchmarks.measure import RESULTS
from tests.figures import unfounded

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "concepts" / "scaling.md"


def size(nodes: int) -> dict[str, Any]:
    """Half a second and a thousand bytes a node, and what every process takes."""
    stage = {"seconds": 0.0, "disk_bytes": 0, "anonymous_bytes": 0}
    stage |= {"processor_seconds": 2 + nodes / 2, "peak_bytes": 500 + 1_000 * nodes}
    times = {sort: {"p50": 1.0} for sort in ("stored", "unseen", "changes")}
    return {"nodes": nodes, "edges": 10 * nodes, "stages": {"serve": {**stage, **times}}}


def test_larger_sizes_lie_on_the_line_through_the_two_largest_ones() -> None:
    sizes = {str(nodes): size(nodes) for nodes in (10, 100_000, 300_000)}
    sizes["10"]["stages"]["serve"]["peak_bytes"] = 10**9
    assert extrapolated(sizes, "serve", "processor_seconds", 10**7) == 2 + 10**7 / 2
    assert extrapolated(sizes, "serve", "peak_bytes", 10**9) == 500 + 10**12
    assert "| 1,000,000,000 | serve | 500,000,002 | 1,000.0 |" in report(sizes)


def test_one_size_or_small_ones_say_nothing_of_others() -> None:
    for sizes in ((10,), (10, 1_000, 100_000)):
        assert "Not measured" not in report({str(nodes): size(nodes) for nodes in sizes})


def test_the_page_tells_what_was_measured() -> None:
    committed = json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8"))
    assert (
        (RESULTS / f"{NAME}.md").read_text(encoding="utf-8").startswith(report(committed["sizes"]))
    )
    assert unfounded(ROOT, PAGE) == []
